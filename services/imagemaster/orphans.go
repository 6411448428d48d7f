package imagemaster

import (
	"context"
	"fmt"
	"time"

	"imagemill/internal/fault"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// verdict is what the tasks say of a blob.
type verdict int

const (
	kept      verdict = iota // needed, or not ours
	beaten                   // of an attempt that has lost
	unclaimed                // of no task, as yet or for ever
)

// reading is the last task that was read: keys of one image's renditions follow
// each other, and what it said of an attempt that has lost stays true.
type reading struct {
	id   string
	task taskdb.Task
	err  error
}

func (r *reading) get(ctx context.Context, tasks taskdb.Tasks, id string) (taskdb.Task, error) {
	if r.id != id {
		r.id = id
		r.task, r.err = tasks.Get(ctx, id)
	}
	return r.task, r.err
}

// judge asks the task of a blob. A young original is not even looked at: its
// task may be on its way.
func (s *Service) judge(ctx context.Context, last *reading, ref storage.Ref, old bool) (verdict, error) {
	id, attempt := ref.Key, 0
	if ref.State == storage.Finished {
		var ok bool
		if id, attempt, ok = parseRenditionKey(ref.Key); !ok {
			return kept, nil
		}
	} else if !old || checkID(id) != nil {
		return kept, nil
	}
	t, err := last.get(ctx, s.deps.Tasks, id)
	switch {
	case fault.Is(err, fault.NotFound):
		return unclaimed, nil
	case err != nil:
		return kept, wrapTask("get", id, err)
	case ref.State == storage.Finished && lost(t, attempt):
		return beaten, nil
	}
	return kept, nil
}

// longWithoutTask notes an old blob without a task, and reports whether this
// process has seen it so for long enough.
func (s *Service) longWithoutTask(ref storage.Ref, before map[string]time.Time) bool {
	key, now := suspect(ref), s.deps.Now()
	since, seen := before[key]
	if !seen {
		since = now
	}
	s.suspects[key] = since
	return seen && now.Sub(since) >= s.settle()
}

// suspect is the name of a blob among the suspects.
func suspect(ref storage.Ref) string { return string(ref.State) + "/" + ref.Key }

// maxFailing is after how many failures in a row a sweep gives up: the other side is
// away, and would fail for all that is left.
const maxFailing = 16

// failing counts what a sweep could not look at, or not delete.
type failing struct {
	first    error
	all, row int
	id       string // of the task at the last one
}

// note counts an outcome; one task that fails all its renditions counts once in a row.
func (f *failing) note(id string, err error) {
	switch {
	case err == nil:
		f.row, f.id = 0, ""
		return
	case f.all == 0:
		f.first = err
	}
	f.all++
	if id == "" || id != f.id {
		f.row, f.id = f.row+1, id
	}
}

func (f *failing) away() bool { return f.row >= maxFailing }

func (f *failing) err() error {
	if f.all == 0 {
		return nil
	}
	return fmt.Errorf("%d blobs failed, the first one so: %w", f.all, f.first)
}

// settle is for how long a blob must have been seen without a task: by then the
// recording of one has ended, whatever the clocks of the machines say.
func (s *Service) settle() time.Duration { return 2 * s.cfg.RecordTimeout }

// lost reports whether an attempt can never again become, and is not, the
// result of the task. An attempt above the task's own was claimed after the
// task was read, and may still win.
func lost(t taskdb.Task, attempt int) bool {
	switch t.State {
	case taskdb.Finished:
		return attempt != t.Result.Attempt
	case taskdb.InProgress:
		return attempt < t.Attempt
	case taskdb.NotStarted, taskdb.Failed, taskdb.Cancelled:
		return attempt <= t.Attempt
	}
	return false
}
