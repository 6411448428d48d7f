package imagemaster

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"imagemill/internal/fault"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// Delete removes the task first and its blobs second, so that a crash in between
// leaves blobs without a task, which the sweeper finds, and never a task that
// points at nothing.
func (s *Service) Delete(ctx context.Context, owner, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	err := s.owned(ctx, owner, id)
	var r taskdb.Removed
	if err == nil {
		r, err = s.deps.Tasks.Delete(ctx, id)
	}
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete task %s: %w", id, err)
	}
	s.wakes.forget(id)
	s.removeBlobs(ctx, r)
	return nil
}

// removeAtOnce bounds the blobs that one call removes at a time.
const removeAtOnce = 8

// removeBlobs removes what tasks that are gone have left. The caller may leave
// meanwhile; what cannot be removed now is the sweeper's.
func (s *Service) removeBlobs(ctx context.Context, all ...taskdb.Removed) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.RecordTimeout)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(removeAtOnce)
	for _, r := range all {
		s.recent.gone(r.Task.ID)
		for _, ref := range left(r) {
			g.Go(func() error { s.discard(ctx, ref); return nil })
		}
	}
	_ = g.Wait() // nothing fails
}

// left names the blobs of a task that is gone. An attempt that was under way may
// still store more; they are the sweeper's.
func left(r taskdb.Removed) []storage.Ref {
	refs := []storage.Ref{{State: storage.InProgress, Key: r.Task.Original.Key}}
	if r.Task.Result != nil {
		for _, p := range r.Task.Result.Renditions {
			refs = append(refs, storage.Ref{State: storage.Finished, Key: p.Key})
		}
	}
	return refs
}
