package imagemaster

import (
	"context"
	"fmt"
	"time"

	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

// GetWork claims, and where there is nothing, waits for a wake-up and claims
// again. It registers before it claims, so that no wake-up falls in between.
func (s *Service) GetWork(ctx context.Context, r WorkRequest) ([]Work, error) {
	if r.Worker == "" || len(r.Worker) > 200 {
		return nil, fault.New(fault.Invalid, "must be 1 to 200 characters").WithField("worker")
	}
	if len(r.Engine) > 200 {
		return nil, fault.New(fault.Invalid, "must be at most 200 characters").WithField("engine")
	}
	if r.Max < 1 || r.Max > taskdb.MaxClaim {
		return nil, fault.Newf(fault.Invalid, "must be 1 to %d", taskdb.MaxClaim).WithField("max")
	}
	claim := taskdb.Claim{Worker: r.Worker, Max: r.Max, Can: uint64(r.Can)}
	for _, can := range r.Others {
		claim.Others = append(claim.Others, uint64(can))
	}
	if err := claim.Validate(); err != nil {
		return nil, err
	}
	s.dedupe.note(r.Engine)
	asked := time.Now()
	deadline := time.NewTimer(bounded(r.Wait))
	defer deadline.Stop()
	polled := false
	for round := 1; ; round++ {
		w := s.wakes.queueUp(claim)
		claimed := time.Now() // at the earliest
		claim.WaitedMillis = claimed.Sub(asked).Milliseconds()
		tasks, err := s.claim(ctx, claim, polled)
		if err != nil {
			w.stop()
			if fault.Is(err, fault.Conflict) {
				// A worker that lives asks again at once; a stopped one does not, and
				// so the task is another caller's.
				s.wakes.next()
				return nil, nil
			}
			return nil, fmt.Errorf("claim for %s: %w", r.Worker, err)
		}
		if len(tasks) > 0 {
			w.stop()
			if polled {
				s.trust.doubt()
			}
			if len(tasks) == r.Max {
				s.wakes.next() // there may be more than this caller could take
			}
			held := s.leaseOf(tasks[0], claimed)
			tasks = s.spare(ctx, tasks, held)
			if len(tasks) == 0 && ctx.Err() == nil && (round < spareRounds || time.Since(asked) < bounded(r.Wait)) {
				continue // all of them had twins: there may be others
			}
			return s.handOver(ctx, tasks, held)
		}
		again := r.Wait > 0
		if again {
			_, again = s.await(ctx, w, nil, deadline)
		}
		w.stop()
		polled = w.polled
		if !again {
			return nil, nil
		}
	}
}

// claim claims tasks for a caller who is queued up. While the bus is trusted, and
// nothing was told since a claim found nothing, another would find nothing either, and is
// spared: a thousand idle workers come by forty times a second. Work that nobody told
// of is left to the poll, which looks.
func (s *Service) claim(ctx context.Context, c taskdb.Claim, polled bool) ([]taskdb.Task, error) {
	began, told := time.Now(), s.wakes.heard()
	if !polled && s.trust.full() && s.wakes.idle(began.Add(-trusting*s.cfg.Poll)) {
		return nil, nil
	}
	tasks, err := s.deps.Tasks.Claim(ctx, c)
	if err == nil && len(tasks) == 0 && len(c.Others) == 0 {
		s.wakes.found(told, began)
	}
	return tasks, err
}

// lease is that of tasks which were claimed together.
type lease struct {
	since  time.Time // by this machine's clock, or a little before
	length time.Duration
}

// leaseOf gives the lease of a task just claimed: as long as taskdb says, though no
// longer than workers are to be told.
func (s *Service) leaseOf(t taskdb.Task, claimed time.Time) lease {
	l := lease{claimed, s.cfg.Lease}
	if given := t.LeaseUntil.Sub(t.Updated); given > 0 {
		l.length = min(l.length, given)
	}
	return l
}

// part is when the n-th part of the lease is over.
func (l lease) part(n time.Duration) time.Time { return l.since.Add(l.length / n) }

// left is what is left of the lease, but enough for a renewal that comes at once.
func (l lease) left() time.Duration { return max(l.length-time.Since(l.since), l.length/4) }

// handOver turns tasks into work, unless the caller has gone: then they are
// released at once, rather than waited for until their leases run out.
func (s *Service) handOver(ctx context.Context, tasks []taskdb.Task, held lease) ([]Work, error) {
	if err := ctx.Err(); err != nil {
		s.release(ctx, tasks)
		return nil, err
	}
	work := make([]Work, len(tasks))
	for i, t := range tasks {
		work[i] = Work{
			ID: t.ID, Attempt: t.Attempt, Pipeline: t.Pipeline, Original: t.Original,
			LeaseMillis: held.left().Milliseconds(),
		}
	}
	return work, nil
}

func (s *Service) release(ctx context.Context, tasks []taskdb.Task) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for _, t := range tasks {
		if err := s.deps.Tasks.Release(ctx, taskdb.Lease{ID: t.ID, Attempt: t.Attempt}); err != nil {
			s.deps.Log.Warn("release task of a caller that left", "taskId", t.ID, "error", err)
		}
	}
}

// WorkProgress renews the lease.
func (s *Service) WorkProgress(ctx context.Context, p ProgressReport) error {
	_, err := s.deps.Tasks.Renew(ctx, taskdb.Lease{ID: p.ID, Attempt: p.Attempt}, p.Progress)
	return wrapTask("renew", p.ID, err)
}

// WorkFinished takes the result of the attempt that holds the lease.
func (s *Service) WorkFinished(ctx context.Context, w FinishedWork) error {
	return s.AllFinished(ctx, w)[0]
}

// AllFinished takes several results; those that are wrong are not passed on.
func (s *Service) AllFinished(ctx context.Context, all ...FinishedWork) []error {
	outcomes := make([]error, len(all))
	records, from := make([]taskdb.Record, 0, len(all)), make([]int, 0, len(all))
	for i, w := range all {
		if outcomes[i] = w.check(); outcomes[i] == nil {
			records, from = append(records, taskdb.Record{Finish: &taskdb.Finish{ID: w.ID, Result: w.Result}}), append(from, i)
		}
	}
	if len(records) == 0 {
		return outcomes
	}
	for n, err := range s.deps.Records.Record(ctx, records...) {
		w := all[from[n]]
		if outcomes[from[n]] = wrapTask("finish", w.ID, err); err == nil {
			s.recent.ended(s.deps.Now(), w.ID, w.Result.Renditions)
		}
	}
	return outcomes
}

// check refuses a result without renditions, or with those of another attempt.
func (w FinishedWork) check() error {
	if len(w.Result.Renditions) == 0 {
		return fault.New(fault.Invalid, "must name at least one rendition").WithField("result.renditions")
	}
	for i, r := range w.Result.Renditions {
		if want := RenditionRef(w.ID, w.Result.Attempt, r.Name).Key; r.Key != want {
			return fault.Newf(fault.Invalid, "must be %s", want).WithField(fmt.Sprintf("result.renditions[%d].key", i))
		}
	}
	return nil
}

// WorkFailed takes the failure of the attempt that holds the lease.
func (s *Service) WorkFailed(ctx context.Context, w FailedWork) error {
	if w.Reason == "" {
		return fault.New(fault.Invalid, "must say what went wrong").WithField("reason")
	}
	t, err := s.deps.Tasks.Fail(ctx, w.ID, taskdb.Failure{
		Attempt: w.Attempt, Worker: w.Worker, Reason: w.Reason, Retryable: w.Retryable, Died: w.Died,
	})
	if err == nil && !t.NotBefore.IsZero() {
		// Nobody else tells that the pause is over. Should this master be gone by
		// then, the slow poll finds it.
		time.AfterFunc(t.NotBefore.Sub(t.Updated), func() {
			s.deps.Events.Publish(events.Event{Kind: events.Queued, TaskID: t.ID, State: string(t.State)})
		})
	}
	return wrapTask("fail", w.ID, err)
}

// WorkReleased gives a task back.
func (s *Service) WorkReleased(ctx context.Context, l taskdb.Lease) error {
	return wrapTask("release", l.ID, s.deps.Tasks.Release(ctx, l))
}

func wrapTask(verb, id string, err error) error {
	if err != nil {
		return fmt.Errorf("%s task %s: %w", verb, id, err)
	}
	return nil
}
