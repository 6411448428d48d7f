package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"imagemill/services/taskdb"
)

// Delete implements [taskdb.Removals].
func (s *Store) Delete(ctx context.Context, id string) (taskdb.Removed, error) {
	if taskdb.CheckID(id) != nil {
		return taskdb.Removed{}, taskdb.NotFound(id)
	}
	o := &op{remove: true, id: id}
	if err := s.do(ctx, o); err != nil {
		return taskdb.Removed{}, fmt.Errorf("delete task: %w", err)
	}
	return o.removed[0], nil
}

// Purge implements [taskdb.Removals].
func (s *Store) Purge(ctx context.Context, r taskdb.Retention) ([]taskdb.Removed, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	o := &op{purge: &r}
	if err := s.do(ctx, o); err != nil {
		return nil, fmt.Errorf("purge tasks: %w", err)
	}
	return append([]taskdb.Removed{}, o.removed...), nil
}

// remove takes a task away, and gives it as it was last.
func (t *transaction) remove(id string) ([]taskdb.Removed, error) {
	r, err := t.locked(id)
	if err != nil {
		return nil, err
	}
	task, told := taskdb.Removing(r.task, t.now)
	r.gone = true
	if told {
		t.changed = append(t.changed, task)
	}
	return []taskdb.Removed{{Task: task}}, nil
}

// queueDue looks for what a purge is to remove.
func (t *transaction) queueDue(b *pgx.Batch, r taskdb.Retention) {
	read := func(rows pgx.Rows) error { return t.read(rows, &t.due) }
	b.Queue(sqlOverdue, t.clock, taskdb.MaxPurge).Query(read)
	for _, state := range []taskdb.State{taskdb.Finished, taskdb.Failed, taskdb.Cancelled} {
		// The moment is the statement's own; here only the length counts.
		if until, ok := r.Ended(state, time.UnixMicro(0)); ok {
			b.Queue(sqlOld(state), t.clock, -until.UnixMicro(), taskdb.MaxPurge).Query(read)
		}
	}
}

// purge removes what was found to be due, and still is, for one caller after the
// other.
func (t *transaction) purge() error {
	for _, w := range t.purges {
		for len(t.due) > 0 && len(w.Do.removed) < taskdb.MaxPurge {
			id := t.due[0]
			t.due = t.due[1:]
			r := t.rows[id]
			if r.err != nil {
				return fmt.Errorf("read task %s: %w", id, r.err)
			}
			if r.gone || !w.Do.purge.Due(r.task, t.now) {
				continue
			}
			gone, err := t.remove(id)
			if err != nil {
				return err
			}
			w.Do.removed = append(w.Do.removed, gone...)
		}
		taskdb.SortRemoved(w.Do.removed)
	}
	return nil
}
