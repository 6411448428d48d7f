package events

import "sync"

// Memory is a bus inside one process. Make it with [NewMemory].
type Memory struct {
	mu   sync.RWMutex
	next int
	subs map[int]func(Event)
}

// NewMemory makes an empty bus.
func NewMemory() *Memory { return &Memory{subs: map[int]func(Event){}} }

// Publish calls every subscriber at once, on the caller's goroutine.
func (m *Memory) Publish(e Event) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, fn := range m.subs {
		fn(e)
	}
}

// Subscribe calls fn for every event until cancel.
func (m *Memory) Subscribe(fn func(Event)) (cancel func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := m.next
	m.next++
	m.subs[id] = fn
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.subs, id)
	}
}
