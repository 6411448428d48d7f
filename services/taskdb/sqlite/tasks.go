package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/backend"
)

// Create implements [taskdb.Tasks].
func (s *Store) Create(ctx context.Context, n taskdb.NewTask) (taskdb.Task, error) {
	n, err := n.Canonical()
	if err != nil {
		return taskdb.Task{}, err
	}
	var out taskdb.Task
	err = s.queue.Do(ctx, func(se *session, now time.Time) (err error) {
		if out, err = taskdb.Created(n, now); err != nil {
			return err
		}
		if inserted, err := se.insert(out); err != nil || inserted {
			return err
		}
		old, err := se.repeated(n)
		if err == nil {
			out, err = n.Answer(old)
		}
		return err
	})
	if err != nil {
		return taskdb.Task{}, fmt.Errorf("create task: %w", err)
	}
	return out, nil
}

// Get implements [taskdb.Tasks].
func (s *Store) Get(ctx context.Context, id string) (taskdb.Task, error) {
	t, err := backend.Scan(s.reads.get.QueryRowContext(ctx, id))
	if errors.Is(err, sql.ErrNoRows) {
		return taskdb.Task{}, taskdb.NotFound(id)
	}
	if err != nil {
		return taskdb.Task{}, fmt.Errorf("read task %s: %w", id, s.readFailure(ctx, err))
	}
	return t, nil
}

// Stats implements [taskdb.Tasks]. Its cost does not depend on how many tasks
// there are.
func (s *Store) Stats(ctx context.Context) (_ taskdb.Stats, err error) {
	rows, err := s.reads.counts.QueryContext(ctx)
	if err != nil {
		return taskdb.Stats{}, fmt.Errorf("count tasks: %w", s.readFailure(ctx, err))
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	st := taskdb.Stats{States: map[taskdb.State]int64{}}
	for rows.Next() {
		var state taskdb.State
		var n, oldest int64
		if err := rows.Scan(&state, &n, &oldest); err != nil {
			return taskdb.Stats{}, fmt.Errorf("count tasks: %w", err)
		}
		st.States[state] = n
		if oldest != math.MaxInt64 {
			st.OldestWaiting = backend.Moment(oldest)
		}
	}
	if err := rows.Err(); err != nil {
		return taskdb.Stats{}, fmt.Errorf("count tasks: %w", s.readFailure(ctx, err))
	}
	return st, nil
}

// readFailure prefers the caller's own end to what the driver makes of it.
func (s *Store) readFailure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return failure(err)
}

// change applies a rule to one task and saves it, if it has changed.
func (s *Store) change(ctx context.Context, id string, rule backend.Rule) (taskdb.Task, error) {
	var out taskdb.Task
	err := s.queue.Do(ctx, func(se *session, now time.Time) error {
		old, err := se.get(id)
		if err != nil {
			return err
		}
		t, changed, err := rule(old, now)
		if err != nil {
			return err
		}
		out = t
		if !changed {
			return nil
		}
		return se.save(old.State, t)
	})
	if err != nil {
		return taskdb.Task{}, fmt.Errorf("change task: %w", err)
	}
	return out, nil
}
