package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/backend"
)

// session is the writer's connection inside one transaction. Its statements run
// under a context of their own, see [Store.transact].
type session struct {
	ctx     context.Context //nolint:containedctx // never done; the session outlives every call
	conn    *sql.Conn
	st      writeStatements
	changed []taskdb.Task
	counts  map[taskdb.State]int64 // by how much to change the counts
	broken  error                  // an SQL error: the transaction cannot be trusted
	silent  taskdb.Silences        // outlives transactions, also those rolled back
}

func newSession(ctx context.Context, conn *sql.Conn) (*session, error) {
	st, err := prepareWrites(ctx, conn)
	if err != nil {
		return nil, err
	}
	return &session{ctx: context.WithoutCancel(ctx), conn: conn, st: st, counts: map[taskdb.State]int64{}}, nil
}

func (s *session) reset() {
	s.changed, s.broken = nil, nil
	clear(s.counts)
}

func (s *session) begin() error {
	if _, err := s.st.begin.ExecContext(s.ctx); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	return nil
}

// commit brings the counts up to date and commits. A transaction that has
// written nothing costs no sync.
func (s *session) commit() error {
	for state, by := range s.counts {
		if by == 0 {
			continue
		}
		if _, err := s.st.count.ExecContext(s.ctx, by, string(state)); err != nil {
			return fmt.Errorf("count %s: %w", state, err)
		}
	}
	if _, err := s.st.commit.ExecContext(s.ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// rollback undoes the transaction and gives cause. SQLite may have undone it
// already, in which case there is nothing to roll back.
func (s *session) rollback(cause error) error {
	_, err := s.conn.ExecContext(s.ctx, "ROLLBACK")
	if err != nil && !errors.Is(cause, err) {
		return fmt.Errorf("%w (rollback: %w)", cause, err)
	}
	return cause
}

// fail marks the transaction as one that must not be committed.
func (s *session) fail(err error) error {
	s.broken = err
	return err
}

// get reads a task, or fault.NotFound.
func (s *session) get(id string) (taskdb.Task, error) {
	t, err := backend.Scan(s.st.get.QueryRowContext(s.ctx, id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return taskdb.Task{}, taskdb.NotFound(id)
	case err != nil:
		return taskdb.Task{}, s.fail(fmt.Errorf("read task %s: %w", id, err))
	}
	return t, nil
}

// insert adds a task; false if there is one with this ID, which stays as it is.
func (s *session) insert(t taskdb.Task) (bool, error) {
	done, err := s.st.insert.ExecContext(s.ctx, t.ID, string(t.State), backend.Micros(t.Created), backend.Micros(t.Updated),
		t.Original.Key, t.Original.Size, t.Original.SHA256, t.Original.ContentType, string(t.Pipeline), t.Needs)
	var rows int64
	if err == nil {
		rows, err = done.RowsAffected()
	}
	if err != nil {
		return false, s.fail(fmt.Errorf("insert task %s: %w", t.ID, err))
	}
	if rows == 0 {
		return false, nil
	}
	s.counts[t.State]++
	s.changed = append(s.changed, t)
	return true, nil
}

// save writes what rules change of a task that was in state from.
func (s *session) save(from taskdb.State, t taskdb.Task) error {
	result, failures, err := backend.Encode(t)
	if err != nil {
		return err // not the transaction's fault
	}
	_, err = s.st.save.ExecContext(s.ctx, string(t.State), backend.Micros(t.Updated), t.Tries, t.Deaths, t.Worker,
		backend.Micros(t.LeaseUntil), backend.Micros(t.NotBefore), t.Progress, result, failures, t.ID)
	if err != nil {
		return s.fail(fmt.Errorf("update task %s: %w", t.ID, err))
	}
	s.moved(from, t)
	return nil
}

// moved notes a change for the counts and the events.
func (s *session) moved(from taskdb.State, t taskdb.Task) {
	s.counts[from]--
	s.counts[t.State]++
	s.changed = append(s.changed, t)
}
