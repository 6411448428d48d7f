package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"imagemill/e2e"
	"imagemill/services/storage"
	"imagemill/services/storage/storagetest"
)

// twoStorages starts a suite with two storage nodes that are to have a copy each,
// "storage" and "storage-2", and waits until both can take blobs.
func twoStorages(t *testing.T) *e2e.Processes {
	t.Helper()
	p := suite(t, "IMAGEMILL_STORAGE_REPLICAS=2", "IMAGEMILL_STORAGE_REPLICA_WAIT=2s", "IMAGEMILL_STORAGE_LINGER=0s", "IMAGEMILL_TASKDB_MAX_TRIES=20")
	p.Start("storage", "storage-2")
	p.Start("nats", "nats")
	for _, s := range e2e.Services() {
		p.StartService(s, 2)
	}
	awaitStorages(p, 2)
	return p
}

// awaitStorages waits until so many storages are announced, and ready.
func awaitStorages(p *e2e.Processes, n int) {
	p.Eventually(fmt.Sprintf("%d storages are ready", n), func() bool {
		ready := 0
		for _, url := range p.Addresses("storage") {
			if p.Status(url+"/readyz") == http.StatusOK {
				ready++
			}
		}
		return ready == n && len(p.Addresses("storage")) == n
	})
}

// held lists the blobs of one storage, as they lie in its folder.
func held(t *testing.T, p *e2e.Processes, name string) map[string]bool {
	t.Helper()
	blobs := map[string]bool{}
	for _, state := range []string{"inProgress", "finished"} {
		files, err := filepath.Glob(filepath.Join(p.Data(name), state, "*", "*"))
		require.NoError(t, err)
		for _, f := range files {
			blobs[state+"/"+filepath.Base(f)] = true
		}
	}
	return blobs
}

// One of two storages is killed and its disk taken away while pictures are
// uploaded. A new one in its place copies what is left; then the other one goes the
// same way. Every picture that was accepted is there.
func TestStorageDestroyed(t *testing.T) {
	p := twoStorages(t)
	l := newLab(t, p)
	uploads := setting(t, "IMAGEMILL_E2E_REPLICA_UPLOADS", 160)

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	got, done, stop := l.got, make(chan error, 1), make(chan struct{})
	go func() {
		_, err := l.load(ctx, stop)
		done <- err
	}()
	accepted := func(n int) func() bool {
		return func() bool {
			got.mu.Lock()
			defer got.mu.Unlock()
			return len(got.ids) >= n
		}
	}
	names := []string{"storage", "storage-2"}
	victim := names[l.rng.IntN(2)]
	at := uploads/8 + l.rng.IntN(uploads/4)
	p.Eventually("some are accepted", accepted(at))
	// What the victim takes in while the other one stands still, it alone would have.
	p.Signal(other(victim), syscall.SIGSTOP)
	_ = pause(ctx, 500*time.Millisecond)
	p.Kill(victim)
	p.Forget(victim)
	p.Signal(other(victim), syscall.SIGCONT)
	before := len(held(t, p, other(victim)))
	p.Restart(victim)
	p.Eventually("all are accepted", accepted(uploads))
	close(stop)
	require.NoError(t, <-done)
	require.Zero(t, got.failed)
	t.Logf("%s destroyed after %d uploads, with %d blobs on the other", victim, at, before)

	awaitStorages(p, 2)
	p.Eventually("the new one has caught up", func() bool {
		a, b := held(t, p, "storage"), held(t, p, "storage-2")
		if len(a) != len(b) || len(a) < uploads {
			return false
		}
		for blob := range a {
			if !b[blob] {
				return false
			}
		}
		return true
	})
	survivor := other(victim)
	p.Kill(survivor)
	p.Forget(survivor)
	u := newUser(t, p, 0, 600, 100*time.Millisecond)
	for id, n := range got.ids {
		require.NoError(t, u.follow(ctx, n, id))
	}
}

func other(name string) string {
	if name == "storage" {
		return "storage-2"
	}
	return "storage"
}

// Two storages are killed in turn, at any moment, while blobs are put. What was
// acknowledged is on both in the end, and each holds it once by its own log.
func TestStorageKills(t *testing.T) {
	p := suite(t, "IMAGEMILL_STORAGE_LINGER=0s", "IMAGEMILL_STORAGE_REPLICA_WAIT=5s")
	p.Start("kvstore", "kvstore")
	p.Start("storage", "storage")
	p.Start("storage", "storage-2")
	awaitStorages(p, 2)
	kills := setting(t, "IMAGEMILL_E2E_REPLICA_KILLS", 8)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var mu sync.Mutex
	acknowledged := map[string]string{}
	g, gctx := errgroup.WithContext(ctx)
	for w := range 4 {
		g.Go(func() error {
			for i := 0; gctx.Err() == nil; i++ {
				key, data := uuid.Must(uuid.NewV7()).String(), storagetest.Bytes(i*7919%300_000, uint64(1000*w+i))
				if putSomewhere(gctx, t, p, w+i, key, data) {
					mu.Lock()
					acknowledged[key] = storagetest.Digest(data)
					mu.Unlock()
				}
			}
			return nil
		})
	}
	for k := range kills {
		mu.Lock()
		was := len(acknowledged)
		mu.Unlock()
		p.Eventually("blobs are acknowledged", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(acknowledged) >= was+15+7*k
		})
		name := []string{"storage", "storage-2"}[k%2]
		p.Kill(name)
		p.Restart(name)
	}
	stop()
	require.NoError(t, g.Wait())
	awaitStorages(p, 2)
	p.Eventually("both hold the same", func() bool {
		return len(held(t, p, "storage")) == len(held(t, p, "storage-2"))
	})
	hc := e2e.HTTPClient(t)
	for _, url := range p.Addresses("storage") {
		c := storage.NewClient(url, hc)
		for key, digest := range acknowledged {
			obj, err := c.Get(t.Context(), storage.Ref{State: storage.InProgress, Key: key}, storage.Whole())
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, obj.Body)
			require.NoError(t, err)
			require.NoError(t, obj.Body.Close())
			require.Equal(t, digest, obj.SHA256)
		}
	}
	for _, name := range []string{"storage", "storage-2"} {
		for key, n := range loggedPuts(t, p.Data(name)) {
			require.Equal(t, 1, n, "%s took %s in so often", name, key)
		}
	}
	t.Logf("%d blobs acknowledged over %d kills", len(acknowledged), kills)
}

// putSomewhere puts a blob on one of the nodes, for two copies, and tells whether
// that was acknowledged.
func putSomewhere(ctx context.Context, t *testing.T, p *e2e.Processes, turn int, key string, data []byte) bool {
	urls := p.Addresses("storage")
	if len(urls) == 0 {
		return false
	}
	hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	_, err := storage.NewClient(urls[turn%len(urls)], hc).Put(ctx, storage.Ref{State: storage.InProgress, Key: key},
		bytes.NewReader(data), storage.PutOptions{Size: int64(len(data)), Replicas: 2})
	if err != nil {
		_ = pause(ctx, 20*time.Millisecond)
	}
	return err == nil
}

// loggedPuts counts the lines of a node's log by blob.
func loggedPuts(t *testing.T, dir string) map[string]int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "replication", "log.*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	f, err := os.Open(files[0])
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	puts := map[string]int{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 4 && fields[0] == "p" {
			puts[fields[4]]++
		}
	}
	require.NoError(t, lines.Err())
	return puts
}
