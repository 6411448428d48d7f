package backend

import (
	"context"
	"fmt"
	"sync"
	"time"

	"imagemill/internal/comeback"
	"imagemill/internal/fault"
)

// maxBatch bounds the writes of one transaction, so that one commit stays short.
const maxBatch = 512

// Write is one write on its way through a [Queue]. What carries it out is T.
type Write[T any] struct {
	// Ctx is that of the caller, who waits for the answer.
	Ctx context.Context //nolint:containedctx // of the caller, who waits for the answer
	Do  T
	// Err is the outcome, which the caller reads after Answer.
	Err  error
	done chan struct{}
}

// NewWrite makes a write.
func NewWrite[T any](ctx context.Context, do T) *Write[T] {
	return &Write[T]{Ctx: ctx, Do: do, done: make(chan struct{})}
}

// Answer lets the caller go on. It is called once.
func (w *Write[T]) Answer() { close(w.done) }

// Queue holds the writes that wait for a commit. Nobody waits in it for company:
// while a commit syncs, the next batch gathers by itself. Make it with
// [NewQueue]; it is safe for concurrent use.
type Queue[T any] struct {
	mu      sync.RWMutex // guards closed against the closing of waiting
	closed  bool
	waiting chan *Write[T]
	line    comeback.Line
}

// NewQueue makes a queue of at most size writes.
func NewQueue[T any](size int) *Queue[T] { return &Queue[T]{waiting: make(chan *Write[T], size)} }

// Do queues a write and waits until it is durable, refused or failed. When ctx
// ends first, the write may or may not happen.
func (q *Queue[T]) Do(ctx context.Context, do T) error {
	w := NewWrite(ctx, do)
	if err := q.Put(w); err != nil {
		return err
	}
	select {
	case <-w.done:
		return w.Err
	case <-ctx.Done():
		return fmt.Errorf("wait for commit: %w", ctx.Err())
	}
}

// Put queues a write for which nobody waits here. A full queue is
// fault.Overloaded, with how long it takes to empty at the rate of late; a closed
// one is fault.Unavailable.
func (q *Queue[T]) Put(w *Write[T]) error {
	if err := w.Ctx.Err(); err != nil {
		return err
	}
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.closed {
		return fault.New(fault.Unavailable, "the task database is closing").WithRetryAfter(time.Second)
	}
	select {
	case q.waiting <- w:
		return nil
	default:
		return fault.Newf(fault.Overloaded, "more than %d writes wait for the task database", cap(q.waiting)).WithRetryAfter(q.line.Wait(int64(len(q.waiting)), time.Now()))
	}
}

// Len is how many writes wait.
func (q *Queue[T]) Len() int { return len(q.waiting) }

// Serve takes what waits, at least one, and has it committed and answered
// together, until the queue is closed and empty. Several may serve one queue.
func (q *Queue[T]) Serve(commit func([]*Write[T])) {
	batch := make([]*Write[T], 0, maxBatch)
	for first := range q.waiting {
		batch = append(batch[:0], first)
	gather:
		for len(batch) < maxBatch {
			select {
			case w, ok := <-q.waiting:
				if !ok {
					break gather
				}
				batch = append(batch, w)
			default:
				break gather
			}
		}
		commit(batch)
		q.line.Through(len(batch), time.Now())
	}
}

// Close refuses new writes, and lets Serve end once the queue is empty. It is
// false when the queue was closed before.
func (q *Queue[T]) Close() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.closed = true
	close(q.waiting)
	return true
}
