package backend

import (
	"context"
	"time"

	"imagemill/services/taskdb"
)

// Rule says what becomes of a task; changed is false for a repeat.
type Rule = func(t taskdb.Task, now time.Time) (_ taskdb.Task, changed bool, err error)

// Moves are the calls that apply one rule to one task. A backend embeds them.
type Moves struct {
	Config taskdb.Config
	// Change reads the task, applies the rule and saves what it gives, in one
	// transaction.
	Change func(ctx context.Context, id string, rule Rule) (taskdb.Task, error)
}

// Cancel implements [taskdb.Tasks].
func (m Moves) Cancel(ctx context.Context, id string) (taskdb.Task, error) {
	return m.Change(ctx, id, taskdb.Stopped)
}

// Retry implements [taskdb.Tasks].
func (m Moves) Retry(ctx context.Context, id string) (taskdb.Task, error) {
	return m.Change(ctx, id, taskdb.Retried)
}

// Finish implements [taskdb.Leases].
func (m Moves) Finish(ctx context.Context, id string, r taskdb.Result) (taskdb.Task, error) {
	return m.Change(ctx, id, func(t taskdb.Task, now time.Time) (taskdb.Task, bool, error) { return taskdb.Done(t, r, now) })
}

// Fail implements [taskdb.Leases].
func (m Moves) Fail(ctx context.Context, id string, f taskdb.Failure) (taskdb.Task, error) {
	f, err := f.Canonical()
	if err != nil {
		return taskdb.Task{}, err
	}
	return m.Change(ctx, id, func(t taskdb.Task, now time.Time) (taskdb.Task, bool, error) { return m.Config.GivenUp(t, f, now) })
}

// Release implements [taskdb.Leases].
func (m Moves) Release(ctx context.Context, l taskdb.Lease) error {
	_, err := m.Change(ctx, l.ID, func(t taskdb.Task, now time.Time) (taskdb.Task, bool, error) {
		t, err := m.Config.Released(t, l, now)
		return t, err == nil, err
	})
	return err
}
