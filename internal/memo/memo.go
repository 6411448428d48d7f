// Package memo remembers what came of a few documents that are seen again and
// again, such as the pipeline of every upload that says nothing of its own.
package memo

import "sync"

const (
	// most is how many documents a Memo keeps; one more makes it begin anew.
	most = 64
	// longest is the size in bytes up to which a document is kept.
	longest = 8 << 10
)

// Memo remembers the values of documents. The zero value is ready, and safe for
// concurrent use. It never holds more than half a megabyte of documents.
type Memo[V any] struct {
	mu    sync.RWMutex
	known map[string]V
}

// Get gives the value of a document, as it was made of the same bytes before, or
// as read makes it now. An error is not remembered. Callers share the value and
// must not change it.
func (m *Memo[V]) Get(document []byte, read func(document []byte) (V, error)) (V, error) {
	m.mu.RLock()
	v, ok := m.known[string(document)]
	m.mu.RUnlock()
	if ok {
		return v, nil
	}
	v, err := read(document)
	if err != nil || len(document) > longest {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= most {
		m.known = map[string]V{}
	}
	m.known[string(document)] = v
	return v, nil
}
