// Package together lets calls that several callers want to make at about the
// same moment travel as one.
//
// Nobody waits for company: a call that finds none under way is made at once.
// What comes while as many are under way as may be waits for the end of one of
// them, and then goes out together. So a single caller notices nothing, and many
// share what a call costs.
package together

import (
	"context"
	"fmt"
	"runtime"
	"sync"
)

// Group brings items together. Make it with [New]; it is safe for concurrent use.
type Group[T any] struct {
	most, atOnce int
	send         func(ctx context.Context, items []T) []error

	mu      sync.Mutex
	waiting []*entry[T] // in the order in which they came
	senders int
}

// entry is what one caller has brought.
type entry[T any] struct {
	ctx      context.Context //nolint:containedctx // of the caller, who waits for done
	items    []T
	outcomes []error
	done     chan struct{}
	call     *call // that it is part of, nil while it waits
}

// call is one call of send; it ends early when nobody waits for it any more.
type call struct {
	cancel  context.CancelFunc
	callers int // that still wait
}

// New makes a group whose send carries out at most so many items in one call, of
// which at most atOnce are under way. It gives one outcome for each item, in
// their order. The context that it gets has the values of the first caller's,
// and is done when all callers have left.
func New[T any](most, atOnce int, send func(ctx context.Context, items []T) []error) *Group[T] {
	return &Group[T]{most: most, atOnce: atOnce, send: send}
}

// Do carries out items, which go out in the same call if they are not more than
// the group's most, and gives the outcome of each. When ctx ends first, they may
// or may not have been carried out.
func (g *Group[T]) Do(ctx context.Context, items ...T) []error {
	e := &entry[T]{ctx: ctx, items: items, done: make(chan struct{})}
	if err := ctx.Err(); err != nil {
		return e.all(err)
	}
	g.mu.Lock()
	g.waiting = append(g.waiting, e)
	if g.senders < g.atOnce {
		g.senders++
		go g.work()
	}
	g.mu.Unlock()
	select {
	case <-e.done:
		return e.outcomes
	case <-ctx.Done():
		g.leave(e)
		return e.all(fmt.Errorf("wait for a call with others: %w", ctx.Err()))
	}
}

// all gives every item the same outcome.
func (e *entry[T]) all(err error) []error {
	out := make([]error, len(e.items))
	for i := range out {
		out[i] = err
	}
	return out
}

// work makes one call after the other until nobody waits.
func (g *Group[T]) work() {
	for {
		// Who is about to come is let through first. It takes no longer than it
		// takes until this goroutine's next turn.
		runtime.Gosched()
		ctx, batch, items := g.take()
		if len(batch) == 0 {
			return
		}
		outcomes := g.send(ctx, items)
		batch[0].call.cancel()
		for _, e := range batch {
			e.outcomes, outcomes = outcomes[:len(e.items):len(e.items)], outcomes[len(e.items):]
			close(e.done)
		}
	}
}

// take gives those who waited longest, as many as go into one call; none ends
// the sender.
func (g *Group[T]) take() (ctx context.Context, batch []*entry[T], items []T) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for n < len(g.waiting) && (n == 0 || len(items)+len(g.waiting[n].items) <= g.most) {
		items = append(items, g.waiting[n].items...)
		n++
	}
	if n == 0 {
		g.senders--
		return nil, nil, nil
	}
	batch = append(batch, g.waiting[:n]...)
	rest := copy(g.waiting, g.waiting[n:])
	clear(g.waiting[rest:])
	g.waiting = g.waiting[:rest]
	c := &call{callers: n}
	ctx, c.cancel = context.WithCancel(context.WithoutCancel(batch[0].ctx))
	for _, e := range batch {
		e.call = c
	}
	return ctx, batch, items
}

// leave takes a caller out whose context has ended.
func (g *Group[T]) leave(e *entry[T]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e.call != nil {
		if e.call.callers--; e.call.callers == 0 {
			e.call.cancel()
		}
		return
	}
	for i, other := range g.waiting {
		if other == e {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return
		}
	}
}
