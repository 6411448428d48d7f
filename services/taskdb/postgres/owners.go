package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

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
	statement, args := listing(sqlList, sqlListOwned, owner, state, after, limit+1)
	tasks, err := s.tasks(ctx, statement, args...)
	if err != nil {
		return taskdb.Page{}, fmt.Errorf("list %s: %w", state, err)
	}
	return backend.PageOf(tasks, limit), nil
}

// listing gives the statement of the two that reads the tasks of an owner, and its
// arguments.
func listing(all, owned, owner string, state taskdb.State, after string, limit int) (string, []any) {
	args := []any{string(state), text(after), limit}
	if owner == "" {
		return all, args
	}
	return owned, append(args, owner)
}

// failed says which failed tasks to retry, and what came of it.
type failed struct {
	owner, after string
	limit        int
	ids          []string // in rising order, one more than the limit where there are more
	retries      taskdb.Retries
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
	f := &failed{owner: owner, after: after, limit: limit}
	if err := s.do(ctx, &op{failed: f}); err != nil {
		return taskdb.Retries{}, fmt.Errorf("retry failed tasks: %w", err)
	}
	return f.retries, nil
}

// queueFailed locks the tasks that have failed and are to be retried.
func (t *transaction) queueFailed(b *pgx.Batch) {
	for _, w := range t.failed {
		f := w.Do.failed
		statement, args := listing(sqlFailed, sqlFailedOwned, f.owner, taskdb.Failed, f.after, f.limit+1)
		f.ids, f.retries = nil, taskdb.Retries{} // of an attempt before
		b.Queue(statement, args...).Query(func(rows pgx.Rows) error { return t.read(rows, &f.ids) })
	}
}

// retryFailed retries them, but for those that something else of the same batch
// has retried or removed.
func (t *transaction) retryFailed() error {
	for _, w := range t.failed {
		f := w.Do.failed
		if len(f.ids) > f.limit {
			f.ids = f.ids[:f.limit]
			f.retries.Next = f.ids[f.limit-1]
		}
		for _, id := range f.ids {
			if r := t.rows[id]; r.gone || r.task.State != taskdb.Failed {
				continue
			}
			if _, err := t.change(id, taskdb.Retried); err != nil {
				return err
			}
			f.retries.Retried++
		}
	}
	return nil
}
