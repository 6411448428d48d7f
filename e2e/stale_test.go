package e2e_test

import (
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

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

// atWorkTries is how often a worker may have done its work before it is stopped.
const atWorkTries = 20

// stoppedAtWork starts a suite with one worker, which is stopped while it has
// the task in hand. One that was done before is given another.
func stoppedAtWork(t *testing.T) (p *e2e.Processes, c *e2e.Client, tasks *taskdb.Client, task taskdb.Task) {
	t.Helper()
	// Long enough for what is done while somebody is stopped who is to keep his lease.
	p = suite(t, "IMAGEMILL_TASKDB_LEASE=6s", "IMAGEMILL_IMAGEMASTER_LEASE=6s")
	p.StartAll(1)
	c = e2e.NewClient(p)
	t.Cleanup(c.Close)
	tasks = taskdb.NewClient(p.Address("taskdb"), e2e.HTTPClient(t))
	for range atWorkTries {
		id := c.Upload(t, e2e.Halves(t, 3000, 2000), "?pipeline="+url.QueryEscape(slow))
		p.Eventually("worker-1 is at work, or was", func() bool {
			task, err := tasks.Get(t.Context(), id)
			return err == nil && task.State != taskdb.NotStarted
		})
		if task = stopWorker(t, p, tasks, "worker-1", id); task.State == taskdb.InProgress {
			return p, c, tasks, task
		}
		p.Signal("worker-1", syscall.SIGCONT)
	}
	require.FailNow(t, "worker-1 was stopped too late each time")
	return nil, nil, nil, taskdb.Task{}
}

// stopWorker stops a worker and gives a task as it is when all reports that were on
// their way have come.
func stopWorker(t *testing.T, p *e2e.Processes, tasks *taskdb.Client, name, id string) taskdb.Task {
	t.Helper()
	p.Signal(name, syscall.SIGSTOP)
	require.NoError(t, pause(t.Context(), 200*time.Millisecond))
	task, err := tasks.Get(t.Context(), id)
	require.NoError(t, err)
	return task
}

// overtaken has worker-2 at work on the task over which worker-1, the stale one, is
// stopped, and worker-2 stopped as well.
func overtaken(t *testing.T) (p *e2e.Processes, c *e2e.Client, tasks *taskdb.Client, stale string, second taskdb.Task) {
	t.Helper()
	for range atWorkTries {
		p, c, tasks, first := stoppedAtWork(t)
		p.Start("worker", "worker-2")
		p.Eventually("worker-2 is at work, or was", func() bool {
			task, err := tasks.Get(t.Context(), first.ID)
			return err == nil && (task.State == taskdb.Finished || task.State == taskdb.InProgress && task.Worker != first.Worker)
		})
		second = stopWorker(t, p, tasks, "worker-2", first.ID)
		if second.State == taskdb.InProgress {
			return p, c, tasks, first.Worker, second
		}
		for _, name := range p.Names("") {
			p.Kill(name)
		}
	}
	require.FailNow(t, "worker-2 was stopped too late each time")
	return nil, nil, nil, "", taskdb.Task{}
}

// A worker that sleeps past its lease is refused when it wakes, and what it has
// made is neither served nor kept.
func TestStaleWorker(t *testing.T) {
	p, c, tasks, stale, second := overtaken(t)
	id := second.ID
	refused(t, p, id, stale)
	task, err := tasks.Get(t.Context(), id)
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
	p, c, tasks, first := stoppedAtWork(t)
	id := first.ID
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
