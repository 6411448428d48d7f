package imagemaster_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
	"imagemill/services/taskdb"
)

// A parked call whose worker has let a lease run out is ended without work, and
// its wake-up goes to the next caller, rather than be lost.
func TestAParkedCallOfASilentWorkerIsEnded(t *testing.T) {
	w := newWorld(t, func(c *imagemaster.Config) { c.Poll = time.Minute })
	run(t, w.Service)
	claims := make(chan taskdb.Claim, 16)
	queued := make(chan struct{})
	w.tasks.claim = func(_ context.Context, c taskdb.Claim) ([]taskdb.Task, error) {
		claims <- c
		select {
		case <-queued:
		default:
			return nil, nil
		}
		if c.Worker == "stopped" {
			return nil, fault.New(fault.Conflict, "it must ask again")
		}
		return []taskdb.Task{{ID: "t", Attempt: 2}}, nil
	}
	type answer struct {
		work []imagemaster.Work
		err  error
	}
	answers := map[string]chan answer{"stopped": make(chan answer, 1), "alive": make(chan answer, 1)}
	for _, worker := range []string{"stopped", "alive"} {
		go func() {
			work, err := w.GetWork(t.Context(), imagemaster.WorkRequest{Worker: worker, Max: 2, Wait: time.Hour})
			answers[worker] <- answer{work, err}
		}()
		require.Equal(t, worker, receive(t, claims).Worker)
	}
	close(queued)
	w.bus.Publish(events.Event{Kind: events.Queued, TaskID: "t"})
	got := receive(t, answers["stopped"])
	require.NoError(t, got.err, "a worker that lives is to ask again, not to be told of an error")
	require.Empty(t, got.work)
	got = receive(t, answers["alive"])
	require.NoError(t, got.err)
	require.Len(t, got.work, 1)
}

func TestAClaimTellsHowLongItsCallHasWaited(t *testing.T) {
	w := newWorld(t, nil)
	run(t, w.Service)
	ctx, cancel := context.WithCancel(t.Context())
	claims := make(chan int64, 1000)
	w.tasks.claim = func(_ context.Context, c taskdb.Claim) ([]taskdb.Task, error) {
		claims <- c.WaitedMillis
		if c.WaitedMillis > 10 {
			cancel()
		}
		return nil, nil
	}
	_, err := w.GetWork(ctx, imagemaster.WorkRequest{Worker: "w", Max: 1, Wait: time.Hour})
	require.NoError(t, err)
	close(claims)
	last := int64(0)
	for waited := range claims {
		require.GreaterOrEqual(t, waited, last)
		last = waited
	}
	require.Greater(t, last, int64(10))
}
