package imagemaster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// sweepPage is how many blobs, and expired leases, are looked at in one call.
const sweepPage = 1000

// Cleaning up behind crashes is done by three who do not wait for each other: a
// sweep over millions of blobs takes its time, and a task whose worker died is not
// to wait for it. Several masters may do all of it at once: every step is safe to
// repeat.

// endLeases ends leases, pauses and schedules that are over, until ctx is done.
func (s *Service) endLeases(ctx context.Context) error {
	expire, at := time.NewTimer(s.cfg.ExpireEvery), time.Now().Add(s.cfg.ExpireEvery)
	defer expire.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-expire.C:
			pause := s.expireLeases(ctx)
			at = time.Now().Add(pause)
			expire.Reset(pause)
		case <-s.wakes.sooner:
			if due := s.wakes.takeDue(); !due.IsZero() && due.Before(at) {
				at = due
				expire.Reset(time.Until(due))
			}
		}
	}
}

// sweep removes orphans until ctx is done.
func (s *Service) sweep(ctx context.Context) error {
	ticks, stop := spread(s.cfg.SweepEvery)
	defer stop()
	var w wholeSweeps
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticks:
			since := now.Add(-s.cfg.SweepWindow)
			whole := w.due(now, s.settle())
			if whole {
				since = time.Time{}
			}
			n, err := s.SweepOrphans(ctx, since)
			w.failed = w.failed || whole && err != nil
			if err != nil && ctx.Err() == nil {
				s.deps.Log.Warn("sweep orphans", "removed", n, "error", err)
			} else if n > 0 {
				s.deps.Log.Info("swept orphans", "removed", n)
			}
		}
	}
}

// purge removes images that are due until ctx is done.
func (s *Service) purge(ctx context.Context) error {
	ticks, stop := spread(s.cfg.PurgeEvery)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks:
			if n, err := s.Purge(ctx); err != nil && ctx.Err() == nil {
				s.deps.Log.Warn("remove images that are due", "removed", n, "error", err)
			} else if n > 0 {
				s.deps.Log.Info("removed images that were due", "removed", n)
			}
		}
	}
}

// spread ticks, a little slower than every d, so that masters that start together
// do not sweep together; never for 0.
func spread(d time.Duration) (ticks <-chan time.Time, stop func()) {
	if d <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(d + rand.N(d/10+1))
	return t.C, t.Stop
}

// maxQuiet bounds the time without a look at the leases, whatever taskdb says.
const maxQuiet = 15 * time.Second

// expireLeases ends all leases, pauses and schedules that are over, and gives the
// time until it is worth looking again: when the next can be over, so that an idle system is left
// in peace, and a dead worker's task waits no longer than it must.
func (s *Service) expireLeases(ctx context.Context) time.Duration {
	for {
		e, err := s.expireOnce(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.deps.Log.Warn("expire leases", "error", err)
			}
			return s.cfg.ExpireEvery
		}
		for _, t := range e.Tasks {
			s.deps.Log.Warn("lease ran out", "taskId", t.ID, "attempt", t.Attempt, "state", t.State)
		}
		if len(e.Tasks) < sweepPage {
			return max(s.cfg.ExpireEvery, min(time.Duration(e.NextMillis)*time.Millisecond, maxQuiet))
		}
	}
}

// expireOnce waits for a taskdb that does not answer no longer than for one that
// records a task.
func (s *Service) expireOnce(ctx context.Context) (taskdb.Expiry, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.RecordTimeout)
	defer cancel()
	return s.deps.Tasks.Expire(ctx)
}

// SweepOrphans removes, among the blobs of images taken in since then (all for
// the zero time), originals that have no task, and renditions of attempts that
// can no longer win. It gives how many it removed.
//
// A blob without a task may be one whose task is just being recorded, and no
// clock can be trusted to tell: so it goes only if it is older than OrphanAge by
// the clock of the storage that stamped it, and if this process, by its own, saw
// it without a task in an earlier sweep, twice RecordTimeout ago or more.
func (s *Service) SweepOrphans(ctx context.Context, since time.Time) (int, error) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	before := s.suspects
	s.suspects = map[string]time.Time{}
	n, err := s.sweepBoth(ctx, since, before)
	if err != nil || !since.IsZero() {
		// What it did not come to stays suspect, since then.
		for key, at := range before {
			if _, seen := s.suspects[key]; !seen {
				s.suspects[key] = at
			}
		}
	}
	return n, err
}

func (s *Service) sweepBoth(ctx context.Context, since time.Time, before map[string]time.Time) (int, error) {
	n, err := s.sweepState(ctx, storage.InProgress, since, before)
	m, merr := s.sweepState(ctx, storage.Finished, since, before)
	return n + m, errors.Join(err, merr)
}

// sweepState walks one state's blobs and deletes the orphans. The walk begins
// by this machine's clock, though IDs come from others'; what a clock that is
// off lets it miss, the daily walk over everything finds. One blob of which nothing
// can be known hides none of those behind it.
func (s *Service) sweepState(ctx context.Context, state storage.State, since time.Time, before map[string]time.Time) (removed int, err error) {
	after := keyFrom(since)
	var f failing
	for {
		page, err := s.deps.Blobs.List(ctx, state, after, sweepPage)
		if err != nil {
			return removed, fmt.Errorf("list %s: %w", state, err)
		}
		var last reading // after the page: a task is never older than its blobs
		for _, info := range page.Blobs {
			// Of a storage that does not say its time, nothing is old.
			old := !page.Now.IsZero() && page.Now.Sub(info.Modified) >= s.cfg.OrphanAge
			gone, err := s.sweepBlob(ctx, &last, storage.Ref{State: state, Key: info.Key}, old, before)
			if f.note(last.id, err); f.away() {
				return removed, f.err()
			}
			if err := ctx.Err(); err != nil {
				return removed, err
			}
			if gone {
				removed++
				s.deps.Log.Info("orphan removed", "state", state, "key", info.Key)
			}
		}
		if page.Next == "" {
			return removed, f.err()
		}
		after = page.Next
	}
}

// sweepBlob deletes a blob if it is an orphan.
func (s *Service) sweepBlob(ctx context.Context, last *reading, ref storage.Ref, old bool, before map[string]time.Time) (gone bool, err error) {
	v, err := s.judge(ctx, last, ref, old)
	if err != nil {
		return false, err
	}
	orphan := v == beaten || v == unclaimed && old && s.longWithoutTask(ref, before)
	if orphan {
		if err := s.deps.Blobs.Delete(ctx, ref); err != nil {
			return false, fmt.Errorf("delete orphan %s: %w", ref.Key, err)
		}
		delete(s.suspects, suspect(ref))
	}
	delete(before, suspect(ref)) // it was come to
	return orphan, nil
}
