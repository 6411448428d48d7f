package imagemaster

import (
	"context"
	"fmt"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

// List implements [Care].
func (s *Service) List(ctx context.Context, owner, state, after string, limit int) (Listing, error) {
	of, err := endOf(state)
	if err != nil {
		return Listing{}, err
	}
	p, err := s.deps.Tasks.ListOwned(ctx, owner, of, after, limit)
	if err != nil {
		return Listing{}, fmt.Errorf("list %s: %w", state, err)
	}
	l := Listing{Images: make([]Status, len(p.Tasks)), Next: p.Next}
	for i, t := range p.Tasks {
		l.Images[i] = statusOf(t)
	}
	return l, nil
}

// endOf gives the state of taskdb that users know under a name.
func endOf(state string) (taskdb.State, error) {
	for _, s := range []taskdb.State{taskdb.Finished, taskdb.Failed, taskdb.Cancelled} {
		if userState(s) == state {
			return s, nil
		}
	}
	return "", fault.Newf(fault.Invalid, "must be %s, %s or %s", StateFinished, StateFailed, StateCancelled).WithField("state")
}

// Cancel implements [Care]. A worker that has the image hears of it at its next
// renewal, stops its engine and drops what it has.
func (s *Service) Cancel(ctx context.Context, owner, id string) (Status, error) {
	return s.change(ctx, owner, id, "cancelled", s.deps.Tasks.Cancel)
}

// Retry implements [Care].
func (s *Service) Retry(ctx context.Context, owner, id string) (Status, error) {
	return s.change(ctx, owner, id, "retried", s.deps.Tasks.Retry)
}

// change makes a call about an owner's image.
func (s *Service) change(ctx context.Context, owner, id, what string, call func(context.Context, string) (taskdb.Task, error)) (Status, error) {
	if err := checkID(id); err != nil {
		return Status{}, err
	}
	if err := s.owned(ctx, owner, id); err != nil {
		return Status{}, err
	}
	t, err := call(ctx, id)
	if fault.Is(err, fault.Conflict) {
		state := userState(taskdb.State(fault.As(err).State))
		return Status{}, fault.Newf(fault.Conflict, "image %s is %s and cannot be %s", id, state, what).WithID(id).WithState(state)
	}
	if err != nil {
		return Status{}, fmt.Errorf("task %s is to be %s: %w", id, what, err)
	}
	return statusOf(t), nil
}

// owned refuses an image that is another owner's as if there were none.
func (s *Service) owned(ctx context.Context, owner, id string) error {
	if owner == "" {
		return nil
	}
	t, err := s.deps.Tasks.Get(ctx, id) // its owner never changes
	if err == nil && t.Owner != owner {
		err = taskdb.NotFound(id)
	}
	return wrapTask("get", id, err)
}

// RetryFailed implements [Care].
func (s *Service) RetryFailed(ctx context.Context, owner, after string, limit int) (taskdb.Retries, error) {
	r, err := s.deps.Tasks.RetryFailed(ctx, owner, after, limit)
	if err != nil {
		return r, fmt.Errorf("retry failed tasks: %w", err)
	}
	return r, nil
}
