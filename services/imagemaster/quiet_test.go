package imagemaster_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/services/imagemaster"
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
