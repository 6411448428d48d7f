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
	lanes   taskdb.Lanes           // so does this
	turns   turns
}

func newSession(ctx context.Context, conn *sql.Conn) (*session, error) {
	st, err := prepareWrites(ctx, conn)
	if err != nil {
		return nil, err
	}
	s := &session{ctx: context.WithoutCancel(ctx), conn: conn, st: st, counts: map[taskdb.State]int64{}}
	return s, s.loadTurns()
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
	if err := s.saveTurns(); err != nil {
		return err
	}
	if _, err := s.st.commit.ExecContext(s.ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	s.turns.committed = s.turns.served
	return nil
}

// shrink gives the pages back that the connection remembers.
func (s *session) shrink() error {
	if _, err := s.conn.ExecContext(s.ctx, "PRAGMA shrink_memory"); err != nil {
		return s.fail(fmt.Errorf("shrink: %w", err))
	}
	return nil
}

// rollback undoes the transaction and gives cause. SQLite may have undone it
// already, in which case there is nothing to roll back.
func (s *session) rollback(cause error) error {
	s.turns.forget()
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

// repeated reads the task that has the ID or the idempotency key of a new one.
func (s *session) repeated(n taskdb.NewTask) (taskdb.Task, error) {
	t, err := backend.Scan(s.st.repeated.QueryRowContext(s.ctx, n.ID, backend.OrNull(n.IdempotencyKey)))
	if err != nil {
		return t, s.fail(fmt.Errorf("read what task %s repeats: %w", n.ID, err))
	}
	return t, nil
}

// insert adds a task; false if there is one with this ID, or this idempotency
// key, which stays as it is.
func (s *session) insert(t taskdb.Task) (bool, error) {
	waits := t.State == taskdb.NotStarted
	turn := int64(0)
	if waits && !t.NotBefore.IsZero() {
		turn = backend.Unplaced
	} else if waits {
		var err error
		if turn, err = s.turn(t); err != nil {
			return false, err
		}
	}
	result, _, err := backend.Encode(t)
	if err != nil {
		return false, err // not the transaction's fault
	}
	done, err := s.st.insert.ExecContext(s.ctx, t.ID, string(t.State), backend.Micros(t.Created), backend.Micros(t.Updated),
		t.Original.Key, t.Original.Size, t.Original.SHA256, t.Original.ContentType, string(t.Pipeline), t.Needs,
		backend.LaneNumber(t.Lane), t.Owner, turn, backend.Micros(t.NotBefore), backend.OrNull(t.IdempotencyKey), backend.Micros(t.Expires),
		t.Attempt, t.Progress, result, backend.Twin(t))
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
	if waits {
		s.turns.placed(t, turn)
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
	if t.Again(from) {
		if err := s.place(t); err != nil {
			return err
		}
	}
	_, err = s.st.save.ExecContext(s.ctx, string(t.State), backend.Micros(t.Updated), t.Tries, t.Deaths, t.Worker,
		backend.Micros(t.LeaseUntil), backend.Micros(t.NotBefore), t.Progress, result, failures, t.ID)
	if err != nil {
		return s.fail(fmt.Errorf("update task %s: %w", t.ID, err))
	}
	s.moved(from, t)
	return nil
}

// moved notes a change for the counts, the turns and the events.
func (s *session) moved(from taskdb.State, t taskdb.Task) {
	s.turns.moved(from, t)
	s.counts[from]--
	s.counts[t.State]++
	s.changed = append(s.changed, t)
}
