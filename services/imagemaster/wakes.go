package imagemaster

import (
	"container/list"
	"context"
	"sync"
	"time"

	"imagemill/internal/events"
	"imagemill/internal/serve"
)

// wakes turns events into wake-ups of parked calls: one caller of GetWork for
// each queued task, in the order in which they came, and every caller of
// IsReady that waits for the task that ended.
type wakes struct {
	mu     sync.Mutex
	queue  *list.List // of *waiter: callers of GetWork, the longest waiting first
	byTask map[string]map[*waiter]struct{}
}

// waiter is one parked call. ready holds at most one wake-up.
type waiter struct {
	ready chan struct{}
	stop  func()
}

func newWakes() *wakes {
	return &wakes{queue: list.New(), byTask: map[string]map[*waiter]struct{}{}}
}

// event is called by the bus; it never blocks.
func (w *wakes) event(e events.Event) {
	switch e.Kind {
	case events.Queued:
		w.next()
	case events.Ended:
		w.mu.Lock()
		defer w.mu.Unlock()
		for x := range w.byTask[e.TaskID] {
			x.wake()
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
		w.queue.Remove(front).(*waiter).wake()
	}
}

// queueUp registers a caller of GetWork. One that stops without having used its
// wake-up passes it on, so that none is lost.
func (w *wakes) queueUp() *waiter {
	x := &waiter{ready: make(chan struct{}, 1)}
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
	x := &waiter{ready: make(chan struct{}, 1)}
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

func (x *waiter) wake() {
	select {
	case x.ready <- struct{}{}:
	default:
	}
}

// bounded gives the wait that holds for a long poll.
func bounded(wait time.Duration) time.Duration { return min(max(wait, 0), MaxWait) }

// await blocks until a wake-up, or until the slow poll is due, and then reports
// true; false when the deadline, the caller's leaving or a stop of this server
// ends the wait.
func (s *Service) await(ctx context.Context, ready <-chan struct{}, deadline *time.Timer) bool {
	poll := time.NewTimer(s.cfg.Poll)
	defer poll.Stop()
	select {
	case <-ready:
		return true
	case <-poll.C:
		return true
	case <-deadline.C:
	case <-ctx.Done():
	case <-serve.Draining(ctx):
	}
	return false
}
