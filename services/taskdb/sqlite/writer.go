package sqlite

import (
	"context"
	"fmt"
	"time"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

// maxBatch bounds the writes of one transaction, so that one commit stays short.
const maxBatch = 512

// op is one write on its way through the queue. Its caller reads what run has
// left behind, and err, only after done is closed.
type op struct {
	ctx  context.Context //nolint:containedctx // of the caller, who waits for done
	run  func(*session, time.Time) error
	err  error
	done chan struct{}
}

// do queues a write and waits until it is durable, refused or failed. When ctx
// ends first, the write may or may not happen.
func (s *Store) do(ctx context.Context, run func(*session, time.Time) error) error {
	o := &op{ctx: ctx, run: run, done: make(chan struct{})}
	if err := s.enqueue(o); err != nil {
		return err
	}
	select {
	case <-o.done:
		return o.err
	case <-ctx.Done():
		return fmt.Errorf("wait for commit: %w", ctx.Err())
	}
}

func (s *Store) enqueue(o *op) error {
	if err := o.ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return fault.New(fault.Unavailable, "the task database is closing").WithRetryAfter(time.Second)
	}
	select {
	case s.queue <- o:
		return nil
	default:
		return fault.Newf(fault.Overloaded, "more than %d writes wait for the task database", s.cfg.Queue).WithRetryAfter(time.Second)
	}
}

// write is the writer goroutine: it takes what waits, at least one, and commits
// it together, until the queue is closed and empty.
func (s *Store) write() {
	defer close(s.done)
	batch := make([]*op, 0, maxBatch)
	for first := range s.queue {
		batch = append(batch[:0], first)
	gather:
		for len(batch) < maxBatch {
			select {
			case o, ok := <-s.queue:
				if !ok {
					break gather
				}
				batch = append(batch, o)
			default:
				break gather
			}
		}
		s.commit(batch)
	}
}

// commit carries a batch out, publishes what has changed and answers all.
func (s *Store) commit(batch []*op) {
	changed, err := s.transact(batch)
	if err != nil {
		err = failure(err)
		s.report(err, len(batch))
	} else if len(changed) > 0 {
		s.space.Written()
		s.publish(changed)
	}
	for _, o := range batch {
		// A refusal, too, rests on rows that this transaction may have written.
		if err != nil {
			o.err = err
		}
		close(o.done)
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
		if o.err = o.ctx.Err(); o.err != nil {
			continue // left before it began
		}
		o.err = o.run(s.sess, now)
		if s.sess.broken != nil {
			return nil, s.sess.rollback(s.sess.broken)
		}
	}
	if err := s.sess.commit(); err != nil {
		return nil, s.sess.rollback(err)
	}
	return s.sess.changed, nil
}
