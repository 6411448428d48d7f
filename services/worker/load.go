package worker

import (
	"context"
	"math"
	"sync"
	"time"
)

// load decides how many tasks a worker holds. Engines should never wait for
// bytes to be fetched or stored, but a task in hand that waits for an engine is
// one that an idle worker elsewhere could have had. So, by Little's law, beside
// the one task in each engine there are as many as it takes to cover the time
// outside of it: engines × (time outside / time inside), both as moving
// averages. Slow pictures make that one or two more; tiny ones many.
type load struct {
	mu              sync.Mutex
	engines, most   int
	held            int
	inside, outside float64 // seconds
	freed           chan struct{}
}

func newLoad(engines, most int) *load {
	return &load{engines: engines, most: most, freed: make(chan struct{}, 1)}
}

// resize changes the number of engines and the bound. Whoever waits for room looks
// again; tasks beyond a lower target stay in hand until they are done.
func (l *load) resize(engines, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.engines, l.most = engines, most
	l.wake()
}

// averaging is the weight of the newest task in the moving averages.
const averaging = 0.1

// observe takes in one task: the time that an engine worked on it, and the time
// that it took before and after. Waiting for an engine is neither: it would make
// a full worker look busy.
func (l *load) observe(inside, outside time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in, out := inside.Seconds(), outside.Seconds()
	if l.inside == 0 {
		l.inside, l.outside = in, out
		return
	}
	l.inside += averaging * (in - l.inside)
	l.outside += averaging * (out - l.outside)
}

// target is how many tasks to hold now. The lock is held.
func (l *load) target() int {
	if l.inside <= 0 {
		return l.engines
	}
	extra := math.Ceil(float64(l.engines) * l.outside / l.inside)
	return int(min(float64(l.engines)+extra, float64(l.most)))
}

// together is how many tasks are asked for at once at least: a quarter of those
// that lie ready beside the engines, so that tiny pictures share calls. Until
// then the other three quarters keep the engines busy. Slow pictures, which have
// one or two in reserve, are asked for one by one.
func together(engines, target int) int { return max(1, (target-engines)/4) }

// room blocks until there is room for as many more tasks as are worth a call,
// and gives for how many; false when ctx is done.
func (l *load) room(ctx context.Context) (int, bool) {
	for ctx.Err() == nil {
		l.mu.Lock()
		target := l.target()
		n, least := target-l.held, together(l.engines, target)
		l.mu.Unlock()
		if n >= least {
			return n, true
		}
		select {
		case <-l.freed:
		case <-ctx.Done():
		}
	}
	return 0, false
}

func (l *load) add() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held++
}

func (l *load) done() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held--
	l.wake()
}

// wake lets room look again.
func (l *load) wake() {
	select {
	case l.freed <- struct{}{}:
	default:
	}
}
