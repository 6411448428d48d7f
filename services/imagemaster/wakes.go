package imagemaster

import (
	"container/list"
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"imagemill/internal/events"
	"imagemill/internal/serve"
	"imagemill/services/taskdb"
)

// maxFresh bounds the tasks remembered as fresh; beyond, all are forgotten,
// which costs one read of taskdb each.
const maxFresh = 10_000

// wakes turns events into wake-ups of parked calls: one caller of GetWork for
// each queued task, in the order in which they came, and every caller of
// IsReady that waits for the task that ended.
type wakes struct {
	mu     sync.Mutex
	queue  *list.List // of *waiter: callers of GetWork, the longest waiting first
	byTask map[string]map[*waiter]struct{}
	fresh  map[string]struct{} // recorded by this master, and not heard to have ended
}

// waiter is one parked call, of GetWork with its claim. ready holds at most one wake-up, with the task
// where the event carried it.
type waiter struct {
	ready  chan json.RawMessage
	stop   func()
	polled bool // what woke it last was the slow poll
	claim  taskdb.Claim
}

func newWakes() *wakes {
	return &wakes{queue: list.New(), byTask: map[string]map[*waiter]struct{}{}, fresh: map[string]struct{}{}}
}

// begin remembers a task that is about to be recorded: until its end is heard,
// a call that waits for it has nothing to read first.
func (w *wakes) begin(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.fresh) >= maxFresh {
		clear(w.fresh)
	}
	w.fresh[id] = struct{}{}
}

// forget is for a task that may not have been recorded after all.
func (w *wakes) forget(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.fresh, id)
}

func (w *wakes) isFresh(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.fresh[id]
	return ok
}

// event is called by the bus; it never blocks.
func (w *wakes) event(e events.Event) {
	switch e.Kind {
	case events.Queued:
		w.nextFor(e.Needs)
	case events.Ended:
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.fresh, e.TaskID)
		for x := range w.byTask[e.TaskID] {
			x.wake(e.Task)
		}
	case events.Progress:
	}
}

// nextFor wakes the caller of GetWork that has waited longest, of those that would
// not leave a task with such needs to others.
func (w *wakes) nextFor(needs uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for el := w.queue.Front(); el != nil; el = el.Next() {
		if !el.Value.(*waiter).claim.Leaves(needs) {
			w.queue.Remove(el).(*waiter).wake(nil)
			return
		}
	}
}

// next wakes the caller of GetWork that has waited longest, where it is not known
// what the work needs: of each kind of worker one.
func (w *wakes) next() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nextLocked()
}

func (w *wakes) nextLocked() {
	woken := map[uint64]bool{}
	for el := w.queue.Front(); el != nil; {
		x, next := el.Value.(*waiter), el.Next()
		if !woken[x.claim.Can] {
			woken[x.claim.Can] = true
			w.queue.Remove(el)
			x.wake(nil)
		}
		if len(x.claim.Others) == 0 {
			return // it takes anything
		}
		el = next
	}
}

// queueUp registers a caller of GetWork. One that stops without having used its
// wake-up passes it on, so that none is lost.
func (w *wakes) queueUp(c taskdb.Claim) *waiter {
	x := &waiter{ready: make(chan json.RawMessage, 1), claim: c}
	w.mu.Lock()
	defer w.mu.Unlock()
	el := w.queue.PushBack(x)
	x.stop = func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.queue.Remove(el)
		select {
		case <-x.ready:
			w.nextLocked()
		default:
		}
	}
	return x
}

// watch registers a caller of IsReady.
func (w *wakes) watch(id string) *waiter {
	x := &waiter{ready: make(chan json.RawMessage, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byTask[id] == nil {
		w.byTask[id] = map[*waiter]struct{}{}
	}
	w.byTask[id][x] = struct{}{}
	x.stop = func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.byTask[id], x)
		if len(w.byTask[id]) == 0 {
			delete(w.byTask, id)
		}
	}
	return x
}

func (x *waiter) wake(task json.RawMessage) {
	select {
	case x.ready <- task:
	default:
	}
}

// bounded gives the wait that holds for a long poll.
func bounded(wait time.Duration) time.Duration { return min(max(wait, 0), MaxWait) }

// await blocks until a wake-up, or until the slow poll is due, which it asks at
// every turn of Config.Poll, and then reports true and what the wake-up carried; false when the deadline, the caller's
// leaving or a stop of this server ends the wait.
func (s *Service) await(ctx context.Context, w *waiter, due func(turn int) bool, deadline *time.Timer) (task json.RawMessage, again bool) {
	slow := time.NewTicker(s.cfg.Poll)
	defer slow.Stop()
	for turn := 1; ; turn++ {
		select {
		case task := <-w.ready:
			return task, true
		case <-slow.C:
			if due(turn) {
				w.polled = true
				return nil, true
			}
		case <-deadline.C:
			return nil, false
		case <-ctx.Done():
			return nil, false
		case <-serve.Draining(ctx):
			return nil, false
		}
	}
}

// always is for calls that poll at every turn.
func always(int) bool { return true }

// trust is how far callers of GetWork rely on being woken. It lasts while the
// bus is connected and no poll finds work that nobody had told of. Work for
// nobody is all that their polls cost an idle system, many a second with many
// workers; a bus that is gone, or of which taskdb is cut off, delays one task.
type trust struct {
	bus  events.Bus
	lost atomic.Int64 // until when not to, in nanoseconds since 1970
}

const (
	// trusting is how much less often a caller polls who trusts.
	trusting = 5
	// distrust is how long an untold task is held against the bus.
	distrust = time.Minute
)

// connected is a bus that can tell whether it reaches others; one that cannot is
// taken for one that does not.
type connected interface{ Connected() bool }

// due reports whether to poll at this turn of a wait; the first is 1.
func (t *trust) due(turn int) bool {
	bus, ok := t.bus.(connected)
	return turn%trusting == 0 || !ok || !bus.Connected() || time.Now().UnixNano() < t.lost.Load()
}

// untold notes that a poll found a task.
func (t *trust) untold() { t.lost.Store(time.Now().Add(distrust).UnixNano()) }
