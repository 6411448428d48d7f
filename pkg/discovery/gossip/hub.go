package gossip

import (
	"context"
	"slices"
	"sync"

	"imagemill/pkg/discovery"
)

// hub keeps the set that was seen last and hands it to watchers.
type hub struct {
	mu       sync.Mutex
	open     bool // a set has been seen
	all      []discovery.Instance
	watchers map[chan []discovery.Instance]*watcher
}

// watcher is one reader and what it was given last.
type watcher struct {
	service string
	given   bool
	last    []discovery.Instance
}

// watch adds a reader, who gets what there is at once.
func (h *hub) watch(ctx context.Context, service string) <-chan []discovery.Instance {
	ch := make(chan []discovery.Instance, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &watcher{service: service}
	h.watchers[ch] = w
	if h.open {
		h.offer(ch, w)
	}
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.watchers, ch)
		close(ch)
	})
	return ch
}

// set replaces the whole set, sorted by ID, and tells those for whom it changed.
func (h *hub) set(all []discovery.Instance) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open, h.all = true, all
	for ch, w := range h.watchers {
		h.offer(ch, w)
	}
}

// offer gives a reader its part, unless it has that already. The lock is held.
func (h *hub) offer(ch chan []discovery.Instance, w *watcher) {
	part := make([]discovery.Instance, 0, len(h.all))
	for _, in := range h.all {
		if w.service == "" || w.service == in.Service {
			part = append(part, in)
		}
	}
	if w.given && slices.EqualFunc(part, w.last, discovery.Instance.Equal) {
		return
	}
	w.given, w.last = true, part
	discovery.Offer(ch, discovery.CloneSet(part))
}
