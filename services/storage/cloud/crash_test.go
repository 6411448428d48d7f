package cloud_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/storage"
	"imagemill/services/storage/cloud"
	"imagemill/services/storage/s3test"
	"imagemill/services/storage/storagetest"
)

// ref names a blob of InProgress.
func ref(key string) storage.Ref { return storage.Ref{State: storage.InProgress, Key: key} }

// leftovers gives the parts of unfinished uploads in a server's bucket.
func leftovers(t testing.TB, srv *s3test.Server, bucket string) (found []string) {
	t.Helper()
	root := filepath.Join(srv.Dir, bucket, ".sgwtmp")
	_ = filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			found = append(found, path)
		}
		return nil
	})
	return found
}

// gate lets a reader through until it is told to stop there, says when it came so
// far, and goes on when it is opened.
type gate struct {
	io.Reader
	left          int
	reached, open chan struct{}
}

func newGate(data []byte, at int) *gate {
	return &gate{Reader: bytes.NewReader(data), left: at, reached: make(chan struct{}), open: make(chan struct{})}
}

// Read waits at the gate.
func (g *gate) Read(p []byte) (int, error) {
	if g.left == 0 {
		close(g.reached)
		<-g.open
		g.left = -1
	}
	if g.left > 0 {
		p = p[:min(len(p), g.left)]
	}
	n, err := g.Reader.Read(p)
	if g.left > 0 {
		g.left -= n
	}
	return n, err
}

// A server that dies in the middle of a Put fails it as one that may be tried
// again, or is back in time for it; nothing half is ever seen, and what was
// acknowledged before is there.
func TestServerKilledDuringAPut(t *testing.T) {
	s, srv := openS3(t)
	before, data := storagetest.Bytes(6_000_000, 1), storagetest.Bytes(16_000_000, 2)
	storagetest.Put(t, s, "before", before)
	storagetest.Put(t, s, "replaced", before)
	for _, back := range []bool{false, true} {
		g, failed := newGate(data, 12_000_000), make(chan error, 1)
		go func() {
			_, err := s.Put(t.Context(), ref("replaced"), g, storage.PutOptions{Size: int64(len(data))})
			failed <- err
		}()
		<-g.reached
		srv.Kill()
		if back {
			srv.Restart(t)
		}
		close(g.open)
		err := <-failed
		if back {
			require.NoError(t, err, "parts stay where the server comes back")
			continue
		}
		require.Equal(t, fault.Unavailable, fault.KindOf(err), err)
		require.Positive(t, fault.As(err).RetryAfter)
		_, err = s.Stat(t.Context(), ref("before"))
		require.Equal(t, fault.Unavailable, fault.KindOf(err), "not: missing")
		require.NotEmpty(t, s.Missing())
		srv.Restart(t)
		for _, key := range []string{"before", "replaced"} {
			got, err := storagetest.Read(t, s, key, storage.Whole())
			require.NoError(t, err)
			require.True(t, bytes.Equal(before, got), "%s is as it was", key)
		}
		require.Empty(t, s.Missing())
	}
	got, err := storagetest.Read(t, s, "replaced", storage.Whole())
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
}

// A Get whose server dies goes on where it broke if the server is back in time,
// and fails otherwise, never short and never mixed.
func TestServerKilledDuringAGet(t *testing.T) {
	s, srv := openS3(t)
	data := storagetest.Bytes(40_000_000, 1)
	storagetest.Put(t, s, "a", data)
	for _, back := range []bool{true, false} {
		obj, err := s.Get(t.Context(), ref("a"), storage.Whole())
		require.NoError(t, err)
		head := make([]byte, 1_000_000)
		_, err = io.ReadFull(obj.Body, head)
		require.NoError(t, err)
		srv.Kill()
		if back {
			srv.Restart(t)
		}
		rest, err := io.ReadAll(obj.Body)
		require.NoError(t, obj.Body.Close())
		if back {
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, append(head, rest...)))
			continue
		}
		require.Equal(t, fault.Unavailable, fault.KindOf(err), err)
		require.Less(t, len(head)+len(rest), len(data))
	}
}

// putMany stores sixteen large blobs at once, reads them and says how much memory
// that took at most.
func putMany(url string) error {
	s, err := cloud.Open(context.Background(), cloud.Config{
		URL: url, CallTimeout: 5 * time.Minute, UploadMemory: 48 << 20,
		Wait: 5 * time.Minute, // some wait for the whole time that others take
	}, cloud.Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	const blobs, size = 16, 64 << 20
	var all sync.WaitGroup
	errs := make(chan error, blobs)
	for i := range blobs {
		all.Go(func() { errs <- putAndGet(s, fmt.Sprintf("blob-%02d", i), i%2 == 0, size) })
	}
	all.Wait()
	for range blobs {
		if err := <-errs; err != nil {
			return err
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmHWM:") {
			fmt.Println(strings.Fields(line)[1])
		}
	}
	return s.Close()
}

// putAndGet stores bytes that nobody holds, and compares what comes back by digest.
func putAndGet(s *cloud.Store, key string, known bool, size int64) error {
	opt := storage.PutOptions{Size: -1}
	if known {
		opt.Size = size
	}
	sum := sha256.New()
	src := rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%-32s", key))))
	info, err := s.Put(context.Background(), ref(key), io.TeeReader(io.LimitReader(src, size), sum), opt)
	if err != nil {
		return err
	}
	obj, err := s.Get(context.Background(), ref(key), storage.Whole())
	if err != nil {
		return err
	}
	back := sha256.New()
	if _, err := io.Copy(back, obj.Body); err != nil {
		return err
	}
	if !sameSum(sum, back) || info.Size != size {
		return fmt.Errorf("%s came back otherwise", key)
	}
	return obj.Body.Close()
}

func sameSum(a, b hash.Hash) bool { return bytes.Equal(a.Sum(nil), b.Sum(nil)) }

// childURL tells this test binary to be the child of TestMemoryIsBounded.
const childURL = "IMAGEMILL_TEST_PUT_MANY"

// A gigabyte of blobs passes, sixteen at once, through what a few parts take.
func TestMemoryIsBounded(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("the peak of a process is read from /proc")
	}
	if testing.Short() {
		t.Skip("a gigabyte each way")
	}
	srv := s3test.Start(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(append(os.Environ(), s3test.Environ()...), childURL+"="+srv.URL(srv.Bucket(t)))
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	require.NoError(t, err, "%s", &said)
	peak, err := strconv.Atoi(strings.TrimSpace(string(out)))
	require.NoError(t, err)
	t.Logf("at most %d MiB were resident", peak>>10)
	require.Less(t, peak, 192<<10, "KiB, of which 48 MiB are for parts")
}

// A thousand small blobs at once all arrive.
func TestAThousandAtOnce(t *testing.T) {
	s, _ := openS3(t)
	const n = 1000
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			data := storagetest.Bytes(100+i, uint64(i))
			_, err := s.Put(t.Context(), ref(fmt.Sprintf("k%04d", i)), bytes.NewReader(data), storage.PutOptions{Size: int64(len(data))})
			assert.NoError(t, err)
		})
	}
	all.Wait()
	page, err := s.List(t.Context(), storage.InProgress, "", storage.MaxPage)
	require.NoError(t, err)
	require.Len(t, page.Blobs, n)
	for i := 0; i < n; i += 37 {
		got, err := storagetest.Read(t, s, fmt.Sprintf("k%04d", i), storage.Whole())
		require.NoError(t, err)
		require.Equal(t, storagetest.Digest(storagetest.Bytes(100+i, uint64(i))), storagetest.Digest(got))
	}
}

// A caller that goes away leaves no object and no parts, at whatever point.
func TestCallerGoesAway(t *testing.T) {
	srv := s3test.Start(t)
	s3test.Credentials(t)
	bucket := srv.Bucket(t)
	s := openStore(t, srv.URL(bucket))
	remote := overHTTP(t, s)
	data := storagetest.Bytes(17_000_000, 1)
	for _, store := range []storage.Store{s, remote} {
		for _, at := range []int{1000, 4_000_000, 6_000_000, 11_000_000, 16_900_000} {
			ctx, cancel := context.WithCancel(t.Context())
			g, failed := newGate(data, at), make(chan error, 1)
			go func() {
				_, err := store.Put(ctx, ref("a"), g, storage.PutOptions{Size: int64(len(data))})
				failed <- err
			}()
			<-g.reached
			if at > 6_000_000 {
				require.Eventually(t, func() bool { return len(leftovers(t, srv, bucket)) > 0 }, time.Minute, time.Millisecond, "parts are there")
			}
			cancel()
			close(g.open)
			require.ErrorIs(t, <-failed, context.Canceled)
			require.Eventually(t, func() bool { return len(leftovers(t, srv, bucket)) == 0 }, time.Minute, 5*time.Millisecond,
				"at %d: %v", at, leftovers(t, srv, bucket))
			_, err := s.Stat(t.Context(), ref("a"))
			require.Equal(t, fault.NotFound, fault.KindOf(err))
		}
	}
}

// What a process that was killed has left is aborted, once it is old enough.
func TestLeftPartsAreAborted(t *testing.T) {
	srv := s3test.Start(t)
	s3test.Credentials(t)
	bucket := srv.Bucket(t)
	s := openStore(t, srv.URL(bucket))
	n, err := s.LeaveParts(t.Context(), ref("a"))
	require.NoError(t, err)
	require.NotEmpty(t, leftovers(t, srv, bucket))
	aborted, err := s.TidyNow(t.Context(), time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Zero(t, aborted, "it may still go on")
	aborted, err = s.TidyNow(t.Context(), time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, n, aborted)
	require.Empty(t, leftovers(t, srv, bucket))
}

// Several stores of one bucket, as of several processes, see the same at once.
func TestSeveralOnOneBucket(t *testing.T) {
	srv := s3test.Start(t)
	s3test.Credentials(t)
	url := srv.URL(srv.Bucket(t))
	stores := []*cloud.Store{openStore(t, url), openStore(t, url), openStore(t, url)}
	var all sync.WaitGroup
	var n atomic.Int64
	for i, s := range stores {
		all.Go(func() {
			for j := range 20 {
				data := storagetest.Bytes(10_000+j, uint64(i))
				key := fmt.Sprintf("s%d-%02d", i, j)
				storagetest.Put(t, s, key, data)
				got, err := storagetest.Read(t, stores[(i+1)%3], key, storage.Whole())
				assert.NoError(t, err)
				assert.True(t, bytes.Equal(data, got))
				n.Add(1)
			}
		})
	}
	all.Wait()
	page, err := stores[0].List(t.Context(), storage.InProgress, "", 100)
	require.NoError(t, err)
	require.Len(t, page.Blobs, int(n.Load()))
}
