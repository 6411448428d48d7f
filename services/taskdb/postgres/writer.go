package postgres

import (
	"context"
	"math/rand/v2"
	"time"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/backend"
)

// How long a transaction that is known not to have happened is carried out again,
// and how long the pauses between are.
const (
	againFor   = 3 * time.Second
	againFirst = 10 * time.Millisecond
	againMost  = 250 * time.Millisecond
)

// op is one write: one of the first six says what it is.
type op struct {
	create *taskdb.NewTask
	rule   backend.Rule // of the task id
	remove bool         // the task id
	purge  *taskdb.Retention
	claim  *taskdb.Claim
	expire bool
	failed *failed
	id     string

	answer
}

// answer is what came of an op. Each attempt to carry it out begins with an empty one.
type answer struct {
	task    taskdb.Task
	tasks   []taskdb.Task
	removed []taskdb.Removed
	next    int64
}

// write is an op on its way through the queue.
type write = backend.Write[*op]

// do has an op carried out.
func (s *Store) do(ctx context.Context, o *op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.link.usable(); err != nil {
		return err
	}
	return s.queue.Do(ctx, o)
}

// commit carries a batch out, publishes what has changed and answers all.
func (s *Store) commit(batch []*write) {
	changed, err := s.insist(batch)
	if err != nil && len(batch) > 1 && weatherOf(err) == broken && !isDoubt(err) {
		// One of them cannot be carried out; the others must not pay for it.
		for _, w := range batch {
			s.commit([]*write{w})
		}
		return
	}
	if err != nil {
		err = failure(err)
		s.deps.Log.Warn("commit failed", "writes", len(batch), "error", err)
	}
	s.publish(changed)
	for _, w := range batch {
		// A refusal, too, rests on rows that this transaction may have written.
		if err != nil {
			w.Err = err
		}
		w.Answer()
	}
}

// insist carries a batch out, and again while that is safe and the database was
// well a moment ago.
func (s *Store) insist(batch []*write) ([]taskdb.Task, error) {
	patient := s.link.well()
	pause, end := againFirst, time.Now().Add(againFor)
	for {
		changed, err := s.attempt(batch)
		if err == nil {
			s.link.heard(nil)
			return changed, nil
		}
		if !patient || !repeatable(err) || time.Now().Add(pause).After(end) || !s.pause(pause) {
			s.link.heard(err)
			return nil, err
		}
		pause = min(2*pause, againMost)
	}
}

// pause waits for about d; false when the store is closed.
func (s *Store) pause(d time.Duration) bool {
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// attempt runs a batch in one transaction. The callers' contexts do not reach into
// it: one that leaves must not break the others' commit.
func (s *Store) attempt(batch []*write) ([]taskdb.Task, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.Timeout)
	defer cancel()
	conn, err := s.writer.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release() // which closes a connection that is inside of a transaction
	t := newTransaction(s, conn.Conn(), batch)
	err = t.run(ctx)
	t.settle(err == nil)
	if err != nil {
		if conn.Conn().PgConn().TxStatus() == 'E' {
			_, _ = conn.Exec(ctx, "ROLLBACK") // or else the connection is closed
		}
		return nil, err
	}
	return t.changed, nil
}

func (s *Store) publish(changed []taskdb.Task) {
	if s.deps.Events == nil {
		return
	}
	for _, t := range changed {
		s.deps.Events.Publish(taskdb.EventOf(t))
	}
}

// now is about the moment that statements go by, for what need not be exact.
func (s *Store) now() time.Time {
	if s.deps.Now == nil {
		return time.Now()
	}
	return s.deps.Now()
}

// clockArg is the moment that statements go by: a test's, or nil for the database's.
func (s *Store) clockArg() *int64 {
	if s.deps.Now == nil {
		return nil
	}
	now := taskdb.Stamp(s.deps.Now()).UnixMicro()
	return &now
}
