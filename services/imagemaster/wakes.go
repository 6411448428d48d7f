package imagemaster

import (
	"container/list"
	"context"
	"encoding/json"
	"sync"
	"time"

	"imagemill/internal/events"
	"imagemill/internal/serve"
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

// waiter is one parked call. ready holds at most one wake-up, with the task
// where the event carried it.
type waiter struct {
	ready chan json.RawMessage
	stop  func()
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
		w.next()
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

// next wakes the caller of GetWork that has waited longest.
func (w *wakes) next() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nextLocked()
}

func (w *wakes) nextLocked() {
	if front := w.queue.Front(); front != nil {
		w.queue.Remove(front).(*waiter).wake(nil)
	}
}

// queueUp registers a caller of GetWork. One that stops without having used its
// wake-up passes it on, so that none is lost.
func (w *wakes) queueUp() *waiter {
	x := &waiter{ready: make(chan json.RawMessage, 1)}
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

// await blocks until a wake-up, or until the slow poll is due, and then reports
// true and what the wake-up carried; false when the deadline, the caller's
// leaving or a stop of this server ends the wait.
func (s *Service) await(ctx context.Context, ready <-chan json.RawMessage, deadline *time.Timer) (json.RawMessage, bool) {
	poll := time.NewTimer(s.cfg.Poll)
	defer poll.Stop()
	select {
	case task := <-ready:
		return task, true
	case <-poll.C:
		return nil, true
	case <-deadline.C:
	case <-ctx.Done():
	case <-serve.Draining(ctx):
	}
	return nil, false
}
