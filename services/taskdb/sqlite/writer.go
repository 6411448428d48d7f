package sqlite

import (
	"context"
	"time"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/backend"
)

// change is a write: it runs in a transaction that it may share with others.
type change = func(*session, time.Time) error

// op is one write on its way through the queue.
type op = backend.Write[change]

// serve has the queue's writes carried out until it is closed, and the writer's cache
// given back when nothing has changed for a while.
func (s *Store) serve() {
	defer s.calm.Stop()
	s.queue.Serve(s.commit)
}

// shrink frees the pages that the writer remembers. It goes through the queue, since
// nobody else may use the writer's connection; closed, there is nothing left to free.
func (s *Store) shrink() {
	_ = s.queue.Put(backend.NewWrite(context.Background(), func(q *session, _ time.Time) error { return q.shrink() }))
}

// commit carries a batch out, publishes what has changed and answers all.
func (s *Store) commit(batch []*op) {
	changed, err := s.transact(batch)
	if err != nil {
		err = failure(err)
		s.report(err, len(batch))
	} else if len(changed) > 0 {
		s.space.Written()
		s.calm.Reset(calm)
		s.publish(changed)
	}
	for _, o := range batch {
		// A refusal, too, rests on rows that this transaction may have written.
		if err != nil {
			o.Err = err
		}
		o.Answer()
	}
}

// report logs a failed commit; a full disk, which lasts, now and then only.
func (s *Store) report(err error, writes int) {
	if fault.Is(err, fault.StorageFull) {
		s.space.Refused(err)
		return
	}
	s.deps.Log.Error("commit failed", "writes", writes, "error", err)
}

func (s *Store) publish(changed []taskdb.Task) {
	if s.deps.Events == nil {
		return
	}
	for _, t := range changed {
		s.deps.Events.Publish(taskdb.EventOf(t))
	}
}

// transact runs the batch in one transaction and gives the tasks it changed. An
// error means that nothing of it has happened. The callers' contexts do not
// reach into it: one that leaves must not break the others' commit.
func (s *Store) transact(batch []*op) ([]taskdb.Task, error) {
	s.sess.reset()
	if err := s.sess.begin(); err != nil {
		return nil, err
	}
	now := taskdb.Stamp(s.deps.Now())
	for _, o := range batch {
		if o.Err = o.Ctx.Err(); o.Err != nil {
			continue // left before it began
		}
		o.Err = o.Do(s.sess, now)
		if s.sess.broken != nil {
			return nil, s.sess.rollback(s.sess.broken)
		}
	}
	if err := s.sess.commit(); err != nil {
		return nil, s.sess.rollback(err)
	}
	return s.sess.changed, nil
}
