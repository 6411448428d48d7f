package process

import (
	"context"
	"slices"
	"sync"
)

// desk hands idle children to callers: to the one that has waited longest, or the
// child that worked last to the next who comes. The caller's own goroutine works
// with the child; no other is woken for a picture.
type desk struct {
	mu      sync.Mutex
	idle    []*child
	waiting []chan *child
	living  int  // children that slots have
	coming  int  // those of them that have not entered yet
	spare   bool // children are being replaced, so that one more should be ready
	taken   uint64

	changed chan struct{} // whether a child is to be started may have changed
	busy    chan struct{} // a child was taken
	resting chan struct{} // there is nothing to do, so that nobody needs a spare
}

func newDesk() desk {
	return desk{changed: make(chan struct{}, 1), busy: make(chan struct{}, 1), resting: make(chan struct{}, 1)}
}

// take gives an idle child; nil when ctx or the pool has ended first.
func (d *desk) take(ctx context.Context, ended <-chan struct{}) *child {
	poke(d.busy)
	d.mu.Lock()
	d.taken++
	for n, c := range slices.Backward(d.idle) {
		d.idle = d.idle[:n]
		if !c.gone() { // a dead one must not cost the picture an attempt
			d.mu.Unlock()
			return c
		}
		c.idled = true
		close(c.free)
	}
	turn := make(chan *child, 1)
	d.waiting = append(d.waiting, turn)
	d.mu.Unlock()
	d.poke()
	select {
	case c := <-turn:
		return c
	case <-ctx.Done():
	case <-ended:
	}
	d.mu.Lock()
	i := slices.Index(d.waiting, turn)
	if i >= 0 {
		d.waiting = slices.Delete(d.waiting, i, i+1)
	}
	d.mu.Unlock()
	if i < 0 { // somebody has handed one over in this moment
		d.put(<-turn)
	}
	return nil
}

// put offers a child that idles.
func (d *desk) put(c *child) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.give(c)
}

// give is put where the lock is held.
func (d *desk) give(c *child) {
	switch {
	case c.leaving || c.gone():
		c.idled = c.gone()
		close(c.free)
	case len(d.waiting) > 0:
		d.waiting[0] <- c // it has room for one
		d.waiting = slices.Delete(d.waiting, 0, 1)
	default:
		d.idle = append(d.idle, c)
	}
}

// drop says that a child that was taken is of no more use.
func (d *desk) drop(c *child) {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(c.free)
}

// leave takes a child back for good: at once if it idles, else c.free is closed
// after its picture. It reports whether it idled.
func (d *desk) leave(c *child) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.leaving = true
	i := slices.Index(d.idle, c)
	if i < 0 {
		return c.idled
	}
	d.idle = slices.Delete(d.idle, i, i+1)
	close(c.free)
	return true
}
