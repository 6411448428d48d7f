package e2e_test

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"imagemill/e2e"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// setting reads a number from the environment.
func setting(t *testing.T, name string, standard int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return standard
	}
	n, err := strconv.Atoi(v)
	require.NoError(t, err, name)
	return n
}

// accepted are the IDs of all uploads that were answered with 202.
type accepted struct {
	mu  sync.Mutex
	ids map[string]int // to the number of the upload
}

// Whatever is killed and whenever, every accepted upload ends in exactly one
// finished result with the right content, and nothing is left lying about.
// IMAGEMILL_E2E_UPLOADS sets how many, IMAGEMILL_E2E_SEED repeats what is killed.
func TestChaos(t *testing.T) {
	uploads := 2000
	if testing.Short() {
		uploads = 200
	}
	uploads = setting(t, "IMAGEMILL_E2E_UPLOADS", uploads)
	seed := setting(t, "IMAGEMILL_E2E_SEED", int(time.Now().UnixNano()&0xffffff))
	t.Logf("IMAGEMILL_E2E_SEED=%d", seed)
	p := e2e.NewProcesses(t, os.Getenv(binaryEnv))
	p.StartAll(4)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	got := &accepted{ids: map[string]int{}}
	var again int64
	done := make(chan error, 1)
	go func() {
		var err error
		again, err = load(ctx, t, p, uploads, got)
		done <- err
	}()
	kills, err := killOften(t, p, rand.New(rand.NewPCG(uint64(seed), 1)), done)
	require.NoError(t, err)
	t.Logf("%d uploads finished in %s, %d kills, %d requests repeated: %v",
		uploads, time.Since(began).Round(time.Millisecond), sum(kills), again, kills)
	require.Len(t, got.ids, uploads, "each has an ID of its own")
	p.Ready(4)
	settled(t, p, got)
}

func sum(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

// load uploads from eight clients, some 33 a second, and follows each to its end.
func load(ctx context.Context, t *testing.T, p *e2e.Processes, uploads int, got *accepted) (again int64, _ error) {
	const clients = 8
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	g, ctx := errgroup.WithContext(ctx)
	users := make([]*user, clients)
	for c := range clients {
		users[c] = newUser(t, p, c, 600, 100*time.Millisecond)
		g.Go(func() error {
			for n := c; n < uploads; n += clients {
				select {
				case <-tick.C:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
				id, err := users[c].upload(ctx, picture(t, n))
				if err != nil {
					return err
				}
				got.mu.Lock()
				got.ids[id] = n
				got.mu.Unlock()
				g.Go(func() error { return users[c].follow(ctx, n, id) })
			}
			return nil
		})
	}
	err := g.Wait()
	for _, u := range users {
		again += u.again.Load()
	}
	return again, err
}

// killOften kills one process after the other, and starts it again, until the
// load is done.
func killOften(t *testing.T, p *e2e.Processes, rng *rand.Rand, done <-chan error) (map[string]int, error) {
	t.Helper()
	names := p.Names("")
	kills := map[string]int{}
	var round []int // every process has its turn before any has a second one
	for {
		select {
		case err := <-done:
			return kills, err
		case <-time.After(time.Duration(1500+rng.IntN(1000)) * time.Millisecond):
		}
		if len(done) > 0 {
			continue
		}
		if len(round) == 0 {
			round = rng.Perm(len(names))
		}
		name := names[round[0]]
		round = round[1:]
		p.Kill(name)
		kills[name]++
		<-time.After(time.Duration(rng.IntN(700)) * time.Millisecond)
		p.Restart(name)
	}
}

// plant leaves what a crash would: an original without a task, and a rendition
// of an attempt that lost. Only a sweep takes them away.
func plant(t *testing.T, blobs storage.Store, finished map[string]taskdb.Task) {
	t.Helper()
	id, err := uuid.NewV7()
	require.NoError(t, err)
	refs := []storage.Ref{imagemaster.OriginalRef(id.String())}
	for id := range finished {
		refs = append(refs, imagemaster.RenditionRef(id, 99, "default"))
		break
	}
	for _, ref := range refs {
		_, err := blobs.Put(t.Context(), ref, strings.NewReader("orphan"), storage.PutOptions{Size: -1})
		require.NoError(t, err)
	}
}

// settled waits until the sweepers are through, and has no orphan left, no task
// stuck, and each accepted upload finished once.
func settled(t *testing.T, p *e2e.Processes, got *accepted) {
	t.Helper()
	began := time.Now()
	tasks := taskdb.NewClient(p.Address("taskdb"), e2e.HTTPClient(t))
	blobs := storage.NewClient(p.Address("storage"), e2e.HTTPClient(t))
	var finished map[string]taskdb.Task
	p.Eventually("no task is waiting or in work", func() bool {
		s, err := tasks.Stats(t.Context())
		return err == nil && s.States[taskdb.NotStarted]+s.States[taskdb.InProgress] == 0
	})
	finished = listTasks(t, tasks, taskdb.Finished)
	require.Empty(t, listTasks(t, tasks, taskdb.Failed))
	for id, n := range got.ids {
		require.Contains(t, finished, id, "upload %d", n)
	}
	plant(t, blobs, finished)
	p.Eventually("orphans are swept", func() bool {
		return len(orphans(t, blobs, finished)) == 0
	})
	more := 0
	for _, task := range finished {
		if task.Attempt > 1 {
			more++
		}
	}
	t.Logf("settled after %s: %d tasks, %d of them took more than one attempt",
		time.Since(began).Round(time.Millisecond), len(finished), more)
}

// listTasks reads all tasks of a state.
func listTasks(t *testing.T, c *taskdb.Client, state taskdb.State) map[string]taskdb.Task {
	t.Helper()
	out := map[string]taskdb.Task{}
	for after := ""; ; {
		page, err := c.List(t.Context(), state, after, taskdb.MaxPage)
		require.NoError(t, err)
		for _, task := range page.Tasks {
			out[task.ID] = task
		}
		if after = page.Next; after == "" {
			return out
		}
	}
}

// orphans lists the blobs that no finished task needs, and has all that one needs.
func orphans(t *testing.T, c *storage.Client, finished map[string]taskdb.Task) (left []string) {
	t.Helper()
	needed := map[string]bool{}
	for id, task := range finished {
		needed[string(storage.InProgress)+"/"+id] = true
		for _, r := range task.Result.Renditions {
			ref := imagemaster.RenditionRef(id, task.Result.Attempt, r.Name)
			require.Equal(t, ref.Key, r.Key)
			needed[string(ref.State)+"/"+ref.Key] = true
		}
	}
	for _, state := range []storage.State{storage.InProgress, storage.Finished} {
		for after := ""; ; {
			page, err := c.List(t.Context(), state, after, storage.MaxPage)
			require.NoError(t, err)
			for _, b := range page.Blobs {
				key := string(state) + "/" + b.Key
				if !needed[key] {
					left = append(left, key)
				}
				delete(needed, key)
			}
			if after = page.Next; after == "" {
				break
			}
		}
	}
	missing := make([]string, 0, len(needed))
	for key := range needed {
		missing = append(missing, key)
	}
	require.Empty(t, missing, "originals and results that are gone")
	return left
}
