package e2e_test

import (
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/e2e"
	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// slow takes an engine the better part of a second, so that there is time to
// stop its worker.
const slow = `{"renditions":[
	{"name":"a","operations":[{"op":"blur","sigma":3},{"op":"resize","width":600}],"format":"jpeg"},
	{"name":"b","operations":[{"op":"resize","width":300}],"format":"png"}]}`

// stoppedAtWork starts a suite with one worker, which is stopped while it has
// the task in hand.
func stoppedAtWork(t *testing.T) (p *e2e.Processes, c *e2e.Client, tasks *taskdb.Client, id string) {
	t.Helper()
	p = suite(t)
	p.StartAll(1)
	c = e2e.NewClient(p)
	t.Cleanup(c.Close)
	tasks = taskdb.NewClient(p.Address("taskdb"), e2e.HTTPClient(t))
	id = c.Upload(t, e2e.Halves(t, 3000, 2000), "?pipeline="+url.QueryEscape(slow))
	p.Eventually("worker-1 is at work", func() bool {
		task, err := tasks.Get(t.Context(), id)
		return err == nil && task.State == taskdb.InProgress
	})
	p.Signal("worker-1", syscall.SIGSTOP)
	return p, c, tasks, id
}

// A worker that sleeps past its lease is refused when it wakes, and what it has
// made is neither served nor kept.
func TestStaleWorker(t *testing.T) {
	p, c, tasks, id := stoppedAtWork(t)
	task, err := tasks.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, taskdb.InProgress, task.State, "worker-1 was stopped too late")
	stale := task.Worker

	p.Start("worker", "worker-2")
	var second taskdb.Task
	p.Eventually("worker-2 is at work", func() bool {
		second, err = tasks.Get(t.Context(), id)
		return err == nil && second.State == taskdb.InProgress && second.Worker != stale
	})
	p.Signal("worker-2", syscall.SIGSTOP) // for as long as a report takes
	refused(t, p, id, stale)
	task, err = tasks.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, second.Attempt, task.Attempt)
	require.Equal(t, second.State, task.State, "another's attempt goes on")
	p.Signal("worker-2", syscall.SIGCONT)
	c.Finished(t, id)
	before := c.Download(t, id, "a").Body
	task, err = tasks.Get(t.Context(), id)
	require.NoError(t, err)
	require.NotEqual(t, stale, task.Worker)
	require.Equal(t, 2, task.Result.Attempt, "the sleeper's parked call for work was handed the task once more")
	require.NotEqual(t, stale, task.Result.Worker)

	p.Signal("worker-1", syscall.SIGCONT)
	p.Eventually("worker-1 learns that it has lost", func() bool {
		log := p.Get("worker-1").Log()
		return strings.Contains(log, "lease lost") || strings.Contains(log, "report finish")
	})
	refused(t, p, id, stale)
	after, err := tasks.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, task, after)
	require.Equal(t, before, c.Download(t, id, "a").Body)
	blobs := storage.NewClient(p.Address("storage"), e2e.HTTPClient(t))
	p.Eventually("the stale renditions are gone", func() bool {
		left, missing := orphans(t, blobs, map[string]taskdb.Task{id: after}, nil)
		require.Empty(t, missing)
		return len(left) == 0
	})
}

// A worker that slept past its lease is not shut out when it wakes: where there
// is no other, it is given the task again, by a call that it makes afterwards.
func TestStalledWorkerIsServedAgain(t *testing.T) {
	p, c, tasks, id := stoppedAtWork(t)
	var stalled taskdb.Task
	p.Eventually("the lease has run out, and nobody takes the task", func() bool {
		var err error
		stalled, err = tasks.Get(t.Context(), id)
		return err == nil && stalled.State == taskdb.NotStarted
	})
	require.Len(t, stalled.Failures, 1)
	p.Signal("worker-1", syscall.SIGCONT)
	c.Finished(t, id)
	task, err := tasks.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, 2, task.Result.Attempt)
	require.Equal(t, stalled.Failures[0].Worker, task.Result.Worker)
}

// refused makes the report that a stale worker would make.
func refused(t *testing.T, p *e2e.Processes, id, stale string) {
	t.Helper()
	master := imagemaster.NewClient(p.Address("imagemaster"), e2e.HTTPClient(t))
	sum := strings.Repeat("0", 64)
	err := master.WorkFinished(t.Context(), imagemaster.FinishedWork{ID: id, Result: taskdb.Result{
		Attempt: 1, Worker: stale, Width: 3000, Height: 2000, Format: "jpeg", Renditions: []taskdb.Rendition{{
			Name: "a", Format: "jpeg", Width: 1, Height: 1, Blob: taskdb.Blob{
				Key: imagemaster.RenditionRef(id, 1, "a").Key, Size: 1, SHA256: sum, ContentType: "image/jpeg",
			},
		}},
	}})
	require.Equal(t, fault.Conflict, fault.KindOf(err), "error: %v", err)
}
