package kvstore

import "sync"

// hub wakes those who wait for a key or for a prefix, and nobody else. All
// waiters of one key or prefix share one entry, so a thousand of them cost
// little more than one. The zero value is ready; it is safe for concurrent use.
type hub struct {
	mu       sync.Mutex
	keys     map[string]*topic
	prefixes map[string]*topic
	// lengths counts the prefixes of each length: a changed key is looked up
	// once per length that somebody watches, not once per watcher.
	lengths map[int]int
}

// topic is what waiters of one key or prefix share.
type topic struct {
	changed chan struct{}
	waiters int
	calls   map[*waiter]func() // of those who do not wait at the channel
}

// waiter is one registration. It must be left by leave.
type waiter struct {
	hub    *hub
	topic  *topic
	name   string
	prefix bool
}

// watch registers for a key, or for all keys with a prefix. Whoever registers
// first and reads the state then cannot miss a change.
func (h *hub) watch(name string, prefix bool) *waiter {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keys == nil {
		h.keys, h.prefixes, h.lengths = map[string]*topic{}, map[string]*topic{}, map[int]int{}
	}
	topics := h.topics(prefix)
	t := topics[name]
	if t == nil {
		t = &topic{changed: make(chan struct{})}
		topics[name] = t
		if prefix {
			h.lengths[len(name)]++
		}
	}
	t.waiters++
	return &waiter{hub: h, topic: t, name: name, prefix: prefix}
}

// changed is closed by the first change after the registration.
func (w *waiter) changed() <-chan struct{} { return w.topic.changed }

// call has f called after the first change after the registration, at once if that
// has been, unless the registration has ended.
func (w *waiter) call(f func()) {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	if isClosed(w.topic.changed) {
		go f()
		return
	}
	if w.topic.calls == nil {
		w.topic.calls = map[*waiter]func(){}
	}
	w.topic.calls[w] = f
}

// leave ends the registration. It must be called once.
func (w *waiter) leave() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	w.topic.waiters--
	delete(w.topic.calls, w)
	// A topic that has been woken is no longer the hub's, and another may stand
	// under its name.
	if w.topic.waiters == 0 && w.hub.topics(w.prefix)[w.name] == w.topic {
		w.hub.drop(w.name, w.prefix)
	}
}

// wake wakes the waiters of these keys and of all their prefixes.
func (h *hub) wake(keys []string) {
	if len(keys) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, key := range keys {
		h.close(key, false)
		for n := range h.lengths {
			if n <= len(key) {
				h.close(key[:n], true)
			}
		}
	}
}

// wakeAll wakes everybody: the whole state was replaced.
func (h *hub) wakeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name := range h.keys {
		h.close(name, false)
	}
	for name := range h.prefixes {
		h.close(name, true)
	}
}

func (h *hub) close(name string, prefix bool) {
	if t := h.topics(prefix)[name]; t != nil {
		close(t.changed)
		if len(t.calls) > 0 {
			// Not here, where the next change waits.
			go func(calls map[*waiter]func()) {
				for _, f := range calls {
					f()
				}
			}(t.calls)
			t.calls = nil
		}
		h.drop(name, prefix)
	}
}

func (h *hub) drop(name string, prefix bool) {
	delete(h.topics(prefix), name)
	if !prefix {
		return
	}
	if h.lengths[len(name)]--; h.lengths[len(name)] == 0 {
		delete(h.lengths, len(name))
	}
}

func (h *hub) topics(prefix bool) map[string]*topic {
	if prefix {
		return h.prefixes
	}
	return h.keys
}

// size is the number of keys and prefixes that somebody waits for.
func (h *hub) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.keys) + len(h.prefixes)
}
