package process

import (
	"context"
	"time"
)

// A child costs memory while it idles, one with large libraries much of it. So
// children are started when a call waits for one, and a pool that has had nothing
// to do for a while keeps a single one, which has the next picture at once. A spare
// is kept only from the first replacement on, until the pool rests.

// grown is how many bytes more than at its start the child that is kept through a
// rest may hold; one with more is replaced.
const grown = 16 << 20

// rest sends children away whenever nothing has been rendered for a while. While
// the pool rests, nothing runs here.
func (p *Pool) rest(ctx context.Context) {
	for {
		select {
		case <-p.desk.busy:
		case <-ctx.Done():
			return
		}
		if !p.calm(ctx) {
			return
		}
		p.desk.rest(func(c *child) bool { return c.begun == 0 || c.watch.holds(c) <= c.begun+grown })
		poke(p.desk.resting)
	}
}

// calm waits until no call has come for the time of rest, and none is at work;
// false when ctx is done.
func (p *Pool) calm(ctx context.Context) bool {
	t := time.NewTicker(p.cfg.Rest)
	defer t.Stop()
	for last, _ := p.desk.work(); ; {
		select {
		case <-t.C:
		case <-ctx.Done():
			return false
		}
		taken, idle := p.desk.work()
		if idle && taken == last {
			return true
		}
		last = taken
	}
}

// work is how often a child was taken so far, and whether all idle now.
func (d *desk) work() (taken uint64, idle bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.taken, d.allIdle()
}

// allIdle reports whether there are children, and none is at work. The lock is held.
func (d *desk) allIdle() bool {
	return d.living > 0 && len(d.waiting) == 0 && d.coming == 0 && len(d.idle) == d.living
}

// rest ends all children but the one that worked last, and that one too unless
// keep says otherwise; then another is started in its place.
func (d *desk) rest(keep func(*child) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.allIdle() {
		return // somebody has come in this moment
	}
	d.spare = false
	var kept []*child
	for i, c := range d.idle {
		if i == len(d.idle)-1 && keep(c) {
			kept = append(kept, c)
			continue
		}
		c.leaving, c.rested = true, true
		close(c.free)
	}
	d.idle = kept
}

// wants reports whether a child should be started, of which there may be size.
func (d *desk) wants(size int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.living == 0:
		return true
	case d.living < size:
		return len(d.waiting) > d.coming
	}
	return d.spare
}

// joined says that a slot has got a child.
func (d *desk) joined() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.living++
	d.coming++
}

// enter offers a child for the first time: in one step, or the starter would take
// the call that gets it for one to which no child is coming.
func (d *desk) enter(c *child) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.coming--
	d.give(c)
}

// left says that a slot's child has ended.
func (d *desk) left(c *child) {
	d.mu.Lock()
	d.living--
	d.spare = d.spare || !c.rested
	d.mu.Unlock()
	d.poke()
}

// poke lets the starter look again.
func (d *desk) poke() { poke(d.changed) }

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
