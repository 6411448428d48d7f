package imagemaster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"imagemill/services/imagemaster"
	"imagemill/services/imagemaster/imagemastertest"
	"imagemill/services/taskdb"
)

func TestNobodyLooksAtLeasesBeforeOneCanRunOut(t *testing.T) {
	looks := make(chan struct{}, 16)
	next := make(chan int64, 16)
	w := newWorld(t, func(c *imagemaster.Config) { c.ExpireEvery = 10 * time.Millisecond })
	w.tasks.expire = func(context.Context) (taskdb.Expiry, error) {
		looks <- struct{}{}
		select {
		case ms := <-next:
			return taskdb.Expiry{NextMillis: ms}, nil
		default:
			return taskdb.Expiry{NextMillis: time.Hour.Milliseconds()}, nil
		}
	}
	next <- 0 // a taskdb that does not tell
	next <- 1
	next <- 30
	run(t, w.Service)
	for range 4 {
		receive(t, looks)
	}
	// The fourth was told of an hour: no other look may come for as long as a
	// hundred of the shortest pauses.
	select {
	case <-looks:
		t.Fatal("looked again")
	case <-time.After(100 * 10 * time.Millisecond):
	}
}

func TestATaskIsHandedOutAsSoonAsItsPauseIsOver(t *testing.T) {
	w := newWorld(t, func(c *imagemaster.Config) { c.Poll, c.Lease = time.Minute, time.Minute })
	run(t, w.Service)
	id := w.take(t)
	work, err := w.GetWork(t.Context(), imagemaster.WorkRequest{Worker: "w", Max: 1})
	require.NoError(t, err)
	require.Len(t, work, 1)
	require.NoError(t, w.WorkFailed(t.Context(), imagemaster.FailedWork{
		ID: id, Attempt: 1, Worker: "w", Reason: "storage is away", Retryable: true,
	}))
	again := make(chan []imagemaster.Work, 1)
	go func() {
		work, err := w.GetWork(t.Context(), imagemaster.WorkRequest{Worker: "w", Max: 1, Wait: time.Hour})
		if err == nil {
			again <- work
		}
	}()
	got := receive(t, again)
	require.Len(t, got, 1, "no event but that of the pause's end can have woken it")
	require.Equal(t, 2, got[0].Attempt)
}

// A thousand callers that wait cost no more than one, and whoever looks wakes others
// where there is more than it could take.
func TestOneLooksForAll(t *testing.T) {
	const callers, poll = 50, 20 * time.Millisecond
	w := newWorld(t, func(c *imagemaster.Config) { c.Poll = poll })
	silent := taskdb.NewMemory(taskdb.DefaultConfig(), taskdb.MemoryDeps{}) // tells no bus
	var claims, came atomic.Int64
	var known sync.Map
	w.tasks.claim = func(ctx context.Context, c taskdb.Claim) ([]taskdb.Task, error) {
		if _, again := known.LoadOrStore(c.Worker, true); !again {
			came.Add(1)
		}
		claims.Add(1)
		return silent.Claim(ctx, c)
	}
	run(t, w.Service)
	got := make(chan string, callers)
	for n := range callers {
		go func() {
			work, err := w.GetWork(t.Context(), imagemaster.WorkRequest{Worker: fmt.Sprint("w", n), Max: 1, Wait: time.Hour})
			if err == nil && len(work) == 1 {
				got <- work[0].ID
			}
		}()
	}
	require.Eventually(t, func() bool { return came.Load() == callers }, patience, tick, "each looks when it comes")
	begin, before := time.Now(), claims.Load()
	require.Eventually(t, func() bool { return claims.Load() >= before+10 }, patience, tick)
	require.Greater(t, time.Since(begin), 5*poll, "one look a turn, whatever the number of callers")
	want := map[string]bool{}
	for range callers {
		id := uuid.Must(uuid.NewV7()).String()
		_, err := silent.Create(t.Context(), taskdb.NewTask{
			ID: id, Pipeline: upload("x").Pipeline,
			Original: taskdb.Blob{Key: imagemaster.OriginalRef(id).Key, Size: 8, SHA256: strings.Repeat("0f", 32), ContentType: "image/png"},
		})
		require.NoError(t, err)
		want[id] = true
	}
	for range callers {
		id := receive(t, got)
		require.True(t, want[id], "each once")
		delete(want, id)
	}
}

// Nobody calls, and the slow poll is far: only the schedule itself can wake the worker.
func TestAScheduledImageIsHandedOutAtItsTime(t *testing.T) {
	const pause = 1200 * time.Millisecond
	w := newWorld(t, func(c *imagemaster.Config) { c.Poll, c.Lease = time.Minute, time.Minute })
	looked := make(chan struct{}, 64)
	w.tasks.expire = func(ctx context.Context) (taskdb.Expiry, error) {
		e, err := w.tasks.Store.Expire(ctx)
		looked <- struct{}{}
		return e, err
	}
	run(t, w.Service)
	receive(t, looked) // it was told that nothing is over for as long as a lease
	again := make(chan []imagemaster.Work, 1)
	go func() {
		work, err := w.GetWork(t.Context(), imagemaster.WorkRequest{Worker: "w", Max: 1, Wait: time.Hour})
		if err == nil {
			again <- work
		}
	}()
	acc, err := w.NewImage(t.Context(), imagemaster.Upload{
		Pipeline: json.RawMessage(imagemastertest.Document), ContentType: "image/png", Size: 1, Body: strings.NewReader("x"), Delay: pause,
	})
	require.NoError(t, err)
	st, err := w.IsReady(t.Context(), acc.ID, 0)
	require.NoError(t, err)
	got := receive(t, again)
	late := time.Since(st.NotBefore)
	require.Len(t, got, 1)
	require.Equal(t, acc.ID, got[0].ID)
	require.Positive(t, late)
	t.Logf("%s late", late)
	require.Less(t, late, 45*time.Second, "it took the poll") // 1 s on a machine that has time
}
