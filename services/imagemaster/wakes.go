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
	due    time.Time           // when the first of the tasks that were heard to wait for a time can be claimed; zero for none
	sooner chan struct{}       // holds a signal when that has changed
	told   uint64              // counts what may have brought work for a caller of GetWork
	empty  quiet
}

// quiet is a moment at which nothing could be claimed, by anybody.
type quiet struct {
	at   time.Time // zero for none
	told uint64
}

// waiter is one parked call, of GetWork with its claim. ready holds at most one wake-up, with the task
// where the event carried it.
type waiter struct {
	ready  chan json.RawMessage
	stop   func()
	polled bool // what woke it was the slow poll; settled once it has stopped
	fresh  bool // the task was recorded by this master, and its end not heard when the wait began
	claim  taskdb.Claim
}

func newWakes() *wakes {
	return &wakes{queue: list.New(), byTask: map[string]map[*waiter]struct{}{}, fresh: map[string]struct{}{}, sooner: make(chan struct{}, 1)}
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

// event is called by the bus; it never blocks.
func (w *wakes) event(e events.Event) {
	switch e.Kind {
	case events.Queued:
		if e.InMillis > 0 {
			w.waits(time.Now().Add(time.Duration(e.InMillis) * time.Millisecond))
			return
		}
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

// waits notes when a task that waits for a time can be claimed.
func (w *wakes) waits(until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.due.IsZero() && !until.Before(w.due) {
		return
	}
	w.due = until
	select {
	case w.sooner <- struct{}{}:
	default:
	}
}

// takeDue gives when the first task can be claimed of those heard of since the last
// call, zero for none.
func (w *wakes) takeDue() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	due := w.due
	w.due = time.Time{}
	return due
}

// nextFor wakes the caller of GetWork that has waited longest, of those that would
// not leave a task with such needs to others.
func (w *wakes) nextFor(needs uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told++
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
	w.told++
	w.eachKind(func(*waiter) {})
}

// heard counts what may have brought work so far. A caller who asks once it is queued
// up misses nothing: what comes later wakes somebody.
func (w *wakes) heard() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.told
}

// found notes that a claim of anything, begun at a moment when told was [wakes.heard],
// found nothing.
func (w *wakes) found(told uint64, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if told == w.told {
		w.empty = quiet{at: at, told: told}
	}
}

// idle tells whether a claim would find nothing, as one found nothing since the time
// given, and nothing was told since.
func (w *wakes) idle(since time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.empty.told == w.told && w.empty.at.After(since)
}

// poll is next for work of which nobody told.
func (w *wakes) poll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.eachKind(func(x *waiter) { x.polled = true })
}

// eachKind wakes the longest waiting caller of each kind, after it was noted so.
func (w *wakes) eachKind(note func(*waiter)) {
	woken := map[uint64]bool{}
	for el := w.queue.Front(); el != nil; {
		x, next := el.Value.(*waiter), el.Next()
		if !woken[x.claim.Can] {
			woken[x.claim.Can] = true
			w.queue.Remove(el)
			note(x)
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

// watch registers a caller of IsReady. Whether the task is fresh is settled with that:
// an end that comes later wakes it.
func (w *wakes) watch(id string) *waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, fresh := w.fresh[id]
	x := &waiter{ready: make(chan json.RawMessage, 1), fresh: fresh}
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

// await blocks until a wake-up, and then reports true and what it carried, or until
// slow, which may be nil; false when the deadline, the caller's leaving or a stop of
// this server ends the wait.
func (s *Service) await(ctx context.Context, w *waiter, slow <-chan time.Time, deadline *time.Timer) (task json.RawMessage, again bool) {
	select {
	case task := <-w.ready:
		return task, true
	case <-slow:
		return nil, true
	case <-deadline.C:
		return nil, false
	case <-ctx.Done():
		return nil, false
	case <-serve.Draining(ctx):
		return nil, false
	}
}

// poll lets callers of GetWork look for work that nobody told of, one of each kind at
// a time: where it finds nothing, the others would not either.
func (s *Service) poll(ctx context.Context) error {
	s.trust.doubt()
	slow := time.NewTicker(s.cfg.Poll)
	defer slow.Stop()
	for turn := 1; ; turn++ {
		select {
		case <-slow.C:
			if s.trust.due(turn) {
				s.wakes.poll()
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// trust is how far callers of GetWork rely on being woken. It has to be earned: it
// begins when the bus has been connected for a while in which no poll found work that
// nobody had told of. Work for nobody is all that polls cost an idle system; a bus that
// is gone, or of which taskdb is cut off, or that taskdb has not reached yet, delays one
// task.
type trust struct {
	bus     events.Bus
	doubted atomic.Int64 // until when, in nanoseconds since 1970
}

const (
	// trusting is how much less often a master polls that trusts.
	trusting = 5
	// doubtful is how long the bus is doubted after the start, after it was away, and
	// after a task of which it had not told.
	doubtful = time.Minute
)

// connected is a bus that can tell whether it reaches others; one that cannot is
// taken for one that does not.
type connected interface{ Connected() bool }

// due reports whether to poll at this turn of [Service.poll]; the first is 1.
func (t *trust) due(turn int) bool {
	if bus, ok := t.bus.(connected); !ok || !bus.Connected() {
		t.doubt()
	}
	return turn%trusting == 0 || time.Now().UnixNano() < t.doubted.Load()
}

// full tells whether callers are to rely on being woken at this moment.
func (t *trust) full() bool {
	bus, ok := t.bus.(connected)
	return ok && bus.Connected() && time.Now().UnixNano() >= t.doubted.Load()
}

// doubt begins a time of doubt.
func (t *trust) doubt() { t.doubted.Store(time.Now().Add(doubtful).UnixNano()) }
