package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/backend"
)

// List implements [taskdb.Tasks].
func (s *Store) List(ctx context.Context, state taskdb.State, after string, limit int) (taskdb.Page, error) {
	return s.ListOwned(ctx, "", state, after, limit)
}

// ListOwned implements [taskdb.Owners].
func (s *Store) ListOwned(ctx context.Context, owner string, state taskdb.State, after string, limit int) (taskdb.Page, error) {
	limit, err := taskdb.CheckList(state, limit)
	if err == nil {
		err = taskdb.CheckOwner(owner)
	}
	if err != nil {
		return taskdb.Page{}, err
	}
	tasks, err := list(ctx, s.reads.list, s.reads.listOwned, owner, state, after, limit+1)
	if err != nil {
		return taskdb.Page{}, fmt.Errorf("list %s: %w", state, s.readFailure(ctx, err))
	}
	return backend.PageOf(tasks, limit), nil
}

// list reads tasks of an owner, or of all.
func list(ctx context.Context, all, owned *sql.Stmt, owner string, state taskdb.State, after string, limit int) ([]taskdb.Task, error) {
	statement, args := all, []any{string(state), after, limit}
	if owner != "" {
		statement, args = owned, append([]any{owner}, args...)
	}
	rows, err := statement.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	return scanAll(rows)
}

// RetryFailed implements [taskdb.Owners].
func (s *Store) RetryFailed(ctx context.Context, owner, after string, limit int) (taskdb.Retries, error) {
	limit, err := taskdb.CheckList(taskdb.Failed, limit)
	if err == nil {
		err = taskdb.CheckOwner(owner)
	}
	if err != nil {
		return taskdb.Retries{}, err
	}
	var out taskdb.Retries
	err = s.queue.Do(ctx, func(se *session, now time.Time) (err error) {
		out, err = se.retryFailed(owner, after, limit, now)
		return err
	})
	if err != nil {
		return taskdb.Retries{}, fmt.Errorf("retry failed tasks: %w", err)
	}
	return out, nil
}

func (s *session) retryFailed(owner, after string, limit int, now time.Time) (taskdb.Retries, error) {
	tasks, err := list(s.ctx, s.st.list, s.st.listOwned, owner, taskdb.Failed, after, limit+1)
	if err != nil {
		return taskdb.Retries{}, s.fail(fmt.Errorf("list failed tasks: %w", err))
	}
	page := backend.PageOf(tasks, limit)
	for _, old := range page.Tasks {
		t, _, err := taskdb.Retried(old, now)
		if err == nil {
			err = s.save(old.State, t)
		}
		if err != nil {
			return taskdb.Retries{}, s.fail(err) // some are written already
		}
	}
	return taskdb.Retries{Retried: len(page.Tasks), Next: page.Next}, nil
}
