package imagemaster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"imagemill/internal/fault"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// sweepPage is how many blobs, and expired leases, are looked at in one call.
const sweepPage = 1000

// sweep cleans up behind crashes until ctx is done. Several masters may sweep
// at once: every step is safe to repeat.
func (s *Service) sweep(ctx context.Context) error {
	expire := time.NewTicker(s.cfg.ExpireEvery)
	defer expire.Stop()
	var orphans <-chan time.Time
	if s.cfg.SweepEvery > 0 {
		// Masters that start together spread their sweeps.
		t := time.NewTicker(s.cfg.SweepEvery + rand.N(s.cfg.SweepEvery/10+1))
		defer t.Stop()
		orphans = t.C
	}
	var lastWhole time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-expire.C:
			s.expireLeases(ctx)
		case now := <-orphans:
			since := now.Add(-s.cfg.SweepWindow)
			if now.Sub(lastWhole) > 24*time.Hour {
				lastWhole, since = now, time.Time{}
			}
			if n, err := s.SweepOrphans(ctx, since); err != nil && ctx.Err() == nil {
				s.deps.Log.Warn("sweep orphans", "removed", n, "error", err)
			} else if n > 0 {
				s.deps.Log.Info("swept orphans", "removed", n)
			}
		}
	}
}

// expireLeases ends all leases that have run out.
func (s *Service) expireLeases(ctx context.Context) {
	for {
		tasks, err := s.deps.Tasks.Expire(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.deps.Log.Warn("expire leases", "error", err)
			}
			return
		}
		for _, t := range tasks {
			s.deps.Log.Warn("lease ran out", "taskId", t.ID, "attempt", t.Attempt, "state", t.State)
		}
		if len(tasks) < sweepPage {
			return
		}
	}
}

// SweepOrphans removes, among the blobs of images taken in since then (all for
// the zero time), originals that have no task and are older than OrphanAge, and
// renditions of attempts that can no longer win. It gives how many it removed.
func (s *Service) SweepOrphans(ctx context.Context, since time.Time) (int, error) {
	n, err := s.sweepState(ctx, storage.InProgress, since, s.orphanedOriginal)
	if err != nil {
		return n, err
	}
	m, err := s.sweepState(ctx, storage.Finished, since, s.orphanedRendition)
	return n + m, err
}

// sweepState walks one state's blobs and deletes those that orphaned names.
func (s *Service) sweepState(
	ctx context.Context, state storage.State, since time.Time, orphaned func(context.Context, storage.Info) (bool, error),
) (removed int, err error) {
	after := keyFrom(since)
	for {
		page, err := s.deps.Blobs.List(ctx, state, after, sweepPage)
		if err != nil {
			return removed, fmt.Errorf("list %s: %w", state, err)
		}
		for _, info := range page.Blobs {
			gone, err := orphaned(ctx, info)
			if err != nil {
				return removed, err
			}
			if !gone {
				continue
			}
			if err := s.deps.Blobs.Delete(ctx, storage.Ref{State: state, Key: info.Key}); err != nil {
				return removed, fmt.Errorf("delete orphan %s: %w", info.Key, err)
			}
			removed++
			s.deps.Log.Info("orphan removed", "state", state, "key", info.Key)
		}
		if page.Next == "" {
			return removed, nil
		}
		after = page.Next
	}
}

// orphanedOriginal: no task, and too old for one to be on its way.
func (s *Service) orphanedOriginal(ctx context.Context, info storage.Info) (bool, error) {
	if checkID(info.Key) != nil || time.Since(info.Modified) < s.cfg.OrphanAge {
		return false, nil
	}
	_, err := s.deps.Tasks.Get(ctx, info.Key)
	if fault.Is(err, fault.NotFound) {
		return true, nil
	}
	return false, wrapTask("get", info.Key, err)
}

// orphanedRendition: of an attempt that has lost, or of no task at all.
func (s *Service) orphanedRendition(ctx context.Context, info storage.Info) (bool, error) {
	id, attempt, ok := parseRenditionKey(info.Key)
	if !ok {
		return false, nil
	}
	t, err := s.deps.Tasks.Get(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return time.Since(info.Modified) >= s.cfg.OrphanAge, nil
	}
	return err == nil && lost(t, attempt), wrapTask("get", id, err)
}

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
