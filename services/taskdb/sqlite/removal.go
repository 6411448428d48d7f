package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/backend"
)

// Delete implements [taskdb.Removals].
func (s *Store) Delete(ctx context.Context, id string) (taskdb.Removed, error) {
	var out taskdb.Removed
	err := s.queue.Do(ctx, func(se *session, now time.Time) error {
		old, err := se.get(id)
		if err != nil {
			return err
		}
		out, err = se.remove(old, now)
		return err
	})
	if err != nil {
		return taskdb.Removed{}, fmt.Errorf("delete task: %w", err)
	}
	return out, nil
}

// remove takes a task away, and gives it as it was last.
func (s *session) remove(old taskdb.Task, now time.Time) (taskdb.Removed, error) {
	if _, err := s.st.delete.ExecContext(s.ctx, old.ID); err != nil {
		return taskdb.Removed{}, s.fail(fmt.Errorf("delete task %s: %w", old.ID, err))
	}
	s.counts[old.State]--
	t, told := taskdb.Removing(old, now)
	s.turns.moved(old.State, t)
	if told {
		s.changed = append(s.changed, t)
	}
	return taskdb.Removed{Task: t}, nil
}

// Purge implements [taskdb.Removals].
func (s *Store) Purge(ctx context.Context, r taskdb.Retention) ([]taskdb.Removed, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	var out []taskdb.Removed
	err := s.queue.Do(ctx, func(se *session, now time.Time) (err error) {
		out, err = se.purge(r, now)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("purge tasks: %w", err)
	}
	return out, nil
}

func (s *session) purge(r taskdb.Retention, now time.Time) ([]taskdb.Removed, error) {
	removed := []taskdb.Removed{}
	drop := func(find *sql.Stmt, until time.Time) error {
		rows, err := find.QueryContext(s.ctx, backend.Micros(until), taskdb.MaxPurge-len(removed))
		if err != nil {
			return s.fail(fmt.Errorf("find tasks to purge: %w", err))
		}
		due, err := scanAll(rows)
		if err != nil {
			return s.fail(fmt.Errorf("find tasks to purge: %w", err))
		}
		for _, old := range due {
			gone, err := s.remove(old, now)
			if err != nil {
				return err
			}
			removed = append(removed, gone)
		}
		return nil
	}
	if err := drop(s.st.overdue, now); err != nil {
		return nil, err
	}
	for state, find := range map[taskdb.State]*sql.Stmt{
		taskdb.Finished: s.st.oldFinished, taskdb.Failed: s.st.oldFailed, taskdb.Cancelled: s.st.oldCancelled,
	} {
		until, ok := r.Ended(state, now)
		if !ok {
			continue
		}
		if err := drop(find, until); err != nil {
			return nil, err
		}
	}
	taskdb.SortRemoved(removed)
	return removed, nil
}
