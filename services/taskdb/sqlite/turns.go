package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/backend"
)

// turns is what the writer remembers of the queues, so that it need not look. All
// but served may be forgotten at any time.
type turns struct {
	served, committed [2]int64 // the last turn claimed of each lane, in this transaction and before
	last              map[queue]int64
	empty             [2]bool // nothing of the lane can be claimed
	due               int64   // no pause or schedule is over before, in microseconds since 1970
}

// queue is one owner's in a lane.
type queue struct {
	lane  taskdb.Lane
	owner string
}

// maxQueues bounds the queues that are remembered.
const maxQueues = 10_000

// forget is for a transaction that has not happened.
func (t *turns) forget() {
	*t = turns{served: t.committed, committed: t.committed, last: map[queue]int64{}}
}

// waits notes a task that has begun to wait.
func (t *turns) waits(task taskdb.Task) {
	if task.NotBefore.IsZero() {
		t.empty[backend.LaneNumber(task.Lane)] = false
	} else {
		t.due = min(t.due, backend.Micros(task.NotBefore))
	}
}

// placed notes the turn that a task was given.
func (t *turns) placed(task taskdb.Task, turn int64) {
	t.waits(task)
	if task.Owner == "" || turn < 0 {
		return
	}
	if len(t.last) >= maxQueues {
		clear(t.last)
	}
	t.last[queue{task.Lane, task.Owner}] = turn
}

// moved notes a move. The task that goes, or comes back, may be its owner's last.
func (t *turns) moved(from taskdb.State, task taskdb.Task) {
	if task.State == taskdb.NotStarted {
		t.waits(task)
	}
	if from == taskdb.NotStarted && task.Owner != "" {
		delete(t.last, queue{task.Lane, task.Owner})
	}
}

// loadTurns reads what was served before.
func (s *session) loadTurns() (err error) {
	rows, err := s.conn.QueryContext(s.ctx, sqlServed)
	if err != nil {
		return fmt.Errorf("read turns: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var lane int
		var served int64
		if err := rows.Scan(&lane, &served); err != nil {
			return fmt.Errorf("read turns: %w", err)
		}
		if lane < len(s.turns.committed) {
			s.turns.committed[lane] = served
		}
	}
	s.turns.forget()
	return rows.Err()
}

// saveTurns writes what was served, where it has changed.
func (s *session) saveTurns() error {
	for lane, served := range s.turns.served {
		if served == s.turns.committed[lane] {
			continue
		}
		if _, err := s.st.serve.ExecContext(s.ctx, served, lane); err != nil {
			return fmt.Errorf("save turns: %w", err)
		}
	}
	return nil
}

// turn gives the turn of a task that is about to wait; see [taskdb.Leases].Claim.
func (s *session) turn(t taskdb.Task) (int64, error) {
	served, q := s.turns.served[backend.LaneNumber(t.Lane)], queue{t.Lane, t.Owner}
	if t.Owner == "" {
		return served, nil
	}
	last, ok := s.turns.last[q]
	if !ok {
		err := s.st.lastTurn.QueryRowContext(s.ctx, backend.LaneNumber(t.Lane), t.Owner).Scan(&last)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return 0, s.fail(fmt.Errorf("find the last turn: %w", err))
		}
	}
	return max(served, last) + 1, nil
}

// place gives a task a turn that has none, or that waits anew.
func (s *session) place(t taskdb.Task) error {
	turn, err := s.turn(t)
	if err != nil {
		return err
	}
	if _, err := s.st.place.ExecContext(s.ctx, turn, t.ID); err != nil {
		return s.fail(fmt.Errorf("place task %s: %w", t.ID, err))
	}
	s.turns.placed(t, turn)
	return nil
}

// wake ends the pauses and schedules that are over.
func (s *session) wake(now time.Time) error {
	if backend.Micros(now) < s.turns.due {
		return nil
	}
	for _, kind := range []struct {
		find *sql.Stmt
		put  func(taskdb.Task) error
	}{{s.st.paused, nil}, {s.st.scheduled, s.place}} {
		if err := s.wakeAll(now, kind.find, kind.put); err != nil {
			return err
		}
	}
	var due int64
	if err := s.st.firstDue.QueryRowContext(s.ctx).Scan(&due); err != nil {
		return s.fail(fmt.Errorf("find the first pause: %w", err))
	}
	if s.turns.due = due; due == 0 {
		s.turns.due = math.MaxInt64
	}
	return nil
}

// wakeAll ends those of one kind.
func (s *session) wakeAll(now time.Time, find *sql.Stmt, put func(taskdb.Task) error) error {
	rows, err := find.QueryContext(s.ctx, backend.Micros(now), taskdb.MaxWake)
	if err != nil {
		return s.fail(fmt.Errorf("find pauses: %w", err))
	}
	tasks, err := scanAll(rows)
	if err != nil {
		return s.fail(fmt.Errorf("find pauses: %w", err))
	}
	for _, t := range tasks {
		t.NotBefore = time.Time{}
		if put != nil {
			if err := put(t); err != nil {
				return err
			}
		}
		if _, err := s.st.wake.ExecContext(s.ctx, t.ID); err != nil {
			return s.fail(fmt.Errorf("wake task %s: %w", t.ID, err))
		}
		s.turns.waits(t)
		s.changed = append(s.changed, t)
	}
	return nil
}
