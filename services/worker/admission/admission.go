// Package admission lets jobs run together only as far as the memory that they
// are estimated to need fits a budget.
//
// Large jobs wait, and small ones pass them where they fit beside what runs; but
// each waiting job is passed at most Bypass times, so that one that needs nearly
// the whole budget waits for what runs to end, and not for ever. Jobs of a like
// size go in the order in which they came.
//
// It reserves and does not measure: what holds a process to its memory is the
// engine's own limit.
package admission

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"imagemill/internal/fault"
)

// Bypass is how often a waiting job lets others pass.
const Bypass = 16

// Gate is one budget. Make it with [New]. It is safe for concurrent use.
type Gate struct {
	budget int64

	mu       sync.Mutex
	reserved int64
	waiting  []*waiter // in the order in which they came
}

// waiter is a job that waits.
type waiter struct {
	bytes  int64
	passed int
	in     chan struct{} // closed when it is let in
}

// New makes a gate for a budget in bytes; 0 or less is no bound.
func New(budget int64) *Gate { return &Gate{budget: budget} }

// Budget is the gate's budget in bytes; 0 or less for none.
func (g *Gate) Budget() int64 { return g.budget }

// Enter waits until there is room for a job of so many bytes and reserves it.
// leave gives the room back; calling it again does nothing.
//
// A job that is larger than the whole budget is fault.TooLarge at once. A done
// ctx ends the wait with its error.
func (g *Gate) Enter(ctx context.Context, bytes int64) (leave func(), err error) {
	bytes = max(bytes, 0)
	if g.budget > 0 && bytes > g.budget {
		return nil, fault.Newf(fault.TooLarge, "the picture would need about %s of memory to process; this worker may use %s",
			megabytes(bytes), megabytes(g.budget))
	}
	w := &waiter{bytes: bytes, in: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, w)
	g.admit()
	g.mu.Unlock()
	select {
	case <-w.in:
		return sync.OnceFunc(func() { g.leave(bytes) }), nil
	case <-ctx.Done():
	}
	g.giveUp(w) // also when it was let in at the same moment
	return nil, fmt.Errorf("wait for memory: %w", ctx.Err())
}

// giveUp takes a waiter out, also one that was let in meanwhile.
func (g *Gate) giveUp(w *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiting, w); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	} else {
		g.reserved -= w.bytes
	}
	g.admit() // it may have stood in the way of others
}

func (g *Gate) leave(bytes int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reserved -= bytes
	g.admit()
}

// admit lets in whoever fits, oldest first, and stops at one that has been
// passed often enough. The lock is held.
func (g *Gate) admit() {
	var stay []*waiter
	for i, w := range g.waiting {
		if g.budget > 0 && g.reserved+w.bytes > g.budget {
			stay = append(stay, w)
			if w.passed >= Bypass {
				stay = append(stay, g.waiting[i+1:]...)
				break
			}
			continue
		}
		g.reserved += w.bytes
		close(w.in)
		for _, passed := range stay {
			passed.passed++
		}
		if slices.ContainsFunc(stay, func(s *waiter) bool { return s.passed >= Bypass }) {
			stay = append(stay, g.waiting[i+1:]...)
			break
		}
	}
	g.waiting = stay
}

// Reserved is what the jobs that were let in may use, in bytes.
func (g *Gate) Reserved() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reserved
}

// Waiting is the number of jobs that wait.
func (g *Gate) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

// megabytes writes a number of bytes as people say it.
func megabytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%d MiB", (n+1<<19)>>20)
}
