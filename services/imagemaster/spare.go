package imagemaster

import (
	"cmp"
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

// spare ends those of the claimed tasks that a twin's result serves, gives back those
// whose twin is at work, and gives those that are to be worked. Their leases run: so
// what is known to be work waits hardly at all for what is not decided yet, which is
// then done without this caller, and given back where it is work after all.
func (s *Service) spare(ctx context.Context, tasks []taskdb.Task, held lease) []taskdb.Task {
	var work, look []taskdb.Task
	for _, t := range tasks {
		if t.Dedupe {
			look = append(look, t)
		} else {
			work = append(work, t)
		}
	}
	if len(look) == 0 {
		return work
	}
	ctx, end := context.WithDeadline(context.WithoutCancel(ctx), held.part(4))
	found, left := make(chan taskdb.Task), make(chan struct{})
	defer close(left)
	go func() {
		defer end()
		defer close(found)
		var g errgroup.Group
		g.SetLimit(spareAtOnce)
		for _, t := range look {
			g.Go(func() error { s.spareFor(ctx, t, found, left); return nil })
		}
		_ = g.Wait() // nothing fails
	}()
	return gather(work, found, held)
}

// gather adds to the work what is found, until all is, or it would take too long.
func gather(work []taskdb.Task, found <-chan taskdb.Task, held lease) []taskdb.Task {
	little := held.length / 32
	patience := time.NewTimer(time.Until(held.part(2)))
	defer patience.Stop()
	if len(work) > 0 {
		patience.Reset(little)
	}
	for {
		select {
		case t, more := <-found:
			if !more {
				return work
			}
			if work = append(work, t); len(work) == 1 {
				patience.Reset(little)
			}
		case <-patience.C:
			return work
		}
	}
}

// spareFor passes a task on that is to be worked; to nobody who has left.
func (s *Service) spareFor(ctx context.Context, t taskdb.Task, found chan<- taskdb.Task, left <-chan struct{}) {
	if !s.spareOne(ctx, t) {
		return
	}
	select {
	case found <- t:
	case <-left:
		s.dedupe.own.add(t.ID)
		s.giveBack(ctx, t, 0)
	}
}

// spareOne reports whether the task is to be worked.
func (s *Service) spareOne(ctx context.Context, t taskdb.Task) bool {
	twins, err := s.dedupe.tasks.Twins(ctx, taskdb.LikenessOf(t))
	if err != nil && ctx.Err() == nil {
		s.deps.Log.Warn("look for twins; the image is worked itself", "id", t.ID, "error", err)
		return true
	}
	var r *taskdb.Result
	own := s.dedupe.own.take(t.ID)
	if err == nil && !own {
		r, err = s.dedupe.result(ctx, t.ID, t.Attempt, twins)
	}
	switch {
	case err != nil:
		// What this attempt has begun to copy may arrive yet, and would then be in the
		// way of a worker with the same attempt.
		s.deps.Log.Warn("copy a twin's result; the image is given back, to be worked itself", "id", t.ID, "error", err)
		s.dedupe.own.add(t.ID)
		s.giveBack(ctx, t, 0)
		return false
	case r != nil:
		s.endAsTwin(ctx, t, *r)
		return false
	}
	twin, ok := workedBefore(t, twins)
	if !ok {
		return true
	}
	if own {
		s.dedupe.own.add(t.ID)
	}
	pause := min(max(t.Updated.Sub(twin.Updated), twinPauseMin), twinPauseMax)
	err = s.deps.Tasks.Release(ctx, taskdb.Lease{ID: t.ID, Attempt: t.Attempt, PauseMillis: pause.Milliseconds()})
	if err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) {
		s.deps.Log.Warn("give a task back whose twin is at work; the image is worked itself", "id", t.ID, "error", err)
		return true
	}
	return false
}

// workedBefore gives the twin that is at work and was claimed before the task.
func workedBefore(t taskdb.Task, twins []taskdb.Task) (taskdb.Task, bool) {
	for _, twin := range twins {
		if twin.State == taskdb.InProgress && cmp.Or(twin.Updated.Compare(t.Updated), cmp.Compare(twin.ID, t.ID)) < 0 {
			return twin, true
		}
	}
	return taskdb.Task{}, false
}

// endAsTwin ends the task with the result of a twin. Where nobody can say whether that
// happened, the task is given back rather than handed out: a worker would lose the
// lease of one that has ended, and remove its result as its own. What was copied is
// left to the sweeper then, which asks the task whether it is needed.
func (s *Service) endAsTwin(ctx context.Context, t taskdb.Task, r taskdb.Result) {
	err := s.deps.Records.Record(ctx, taskdb.Record{Finish: &taskdb.Finish{ID: t.ID, Result: r}})[0]
	switch {
	case err == nil:
		s.recent.ended(s.deps.Now(), t.ID, r.Renditions)
		s.dedupe.count.WithLabelValues(atClaim).Inc()
	case fault.Is(err, fault.Conflict), fault.Is(err, fault.NotFound):
		s.dedupe.discard(ctx, r.Renditions) // cancelled, or deleted, meanwhile
	default:
		s.deps.Log.Warn("end the task with its twin's result; it is given back, if it has not ended", "id", t.ID, "error", err)
		s.dedupe.own.add(t.ID)
		s.giveBack(ctx, t, doubtPause)
	}
}

// giveBack releases a task that nobody was given. Where that fails, its lease runs out.
func (s *Service) giveBack(ctx context.Context, t taskdb.Task, pause time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := s.deps.Tasks.Release(ctx, taskdb.Lease{ID: t.ID, Attempt: t.Attempt, PauseMillis: pause.Milliseconds()})
	if err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) {
		s.deps.Log.Warn("give a task back that nobody was given", "id", t.ID, "error", err)
	}
}
