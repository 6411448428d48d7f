package replication

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"imagemill/services/storage"
)

const (
	stateFile = "state.json"
	// maxLost bounds the damaged blobs that are remembered over a restart; a scrub
	// finds the others again.
	maxLost = 10_000
)

// position is how far a node has followed the log of one store.
type position struct {
	Next int64     `json:"next"`
	Seen time.Time `json:"seen"` // when that store was last heard of
}

// cursor is where the scrubber is.
type cursor struct {
	State storage.State `json:"state,omitempty"`
	After string        `json:"after,omitempty"`
	// Rested is when the last round ended; zero while one is under way.
	Rested time.Time `json:"rested,omitzero"`
}

// memory is what a node knows beside its log. All of it may be lost, or be older
// than the truth, at the price of looking again: so it is saved now and then.
type memory struct {
	path string
	now  func() time.Time

	// touched has something in it when there is something to save.
	touched chan struct{}

	mu    sync.Mutex
	dirty bool
	kept  kept
}

// touch notes a change; the lock is held.
func (m *memory) touch() {
	m.dirty = true
	select {
	case m.touched <- struct{}{}:
	default:
	}
}

type kept struct {
	Positions map[string]position `json:"positions"` // by the identity of a store
	// Behind says that no other store was heard of for as long as deletions are
	// remembered, and that those of now have not all been reconciled with.
	Behind   bool                 `json:"behind,omitempty"`
	Lost     map[storage.Ref]bool `json:"-"`
	LostList []storage.Ref        `json:"lost,omitempty"`
	Scrub    cursor               `json:"scrub,omitzero"`
}

// openMemory reads what an earlier run has saved. What cannot be read is empty.
func openMemory(dir string, now func() time.Time) *memory {
	m := &memory{path: filepath.Join(dir, stateFile), now: now, touched: make(chan struct{}, 1)}
	if b, err := os.ReadFile(m.path); err == nil && json.Unmarshal(b, &m.kept) != nil {
		m.kept = kept{}
	}
	if m.kept.Positions == nil {
		m.kept.Positions = map[string]position{}
	}
	m.kept.Lost = map[storage.Ref]bool{}
	for _, ref := range m.kept.LostList {
		if ref.Validate() == nil {
			m.kept.Lost[ref] = true
		}
	}
	return m
}

// save writes what has changed.
func (m *memory) save() error {
	m.mu.Lock()
	if !m.dirty {
		m.mu.Unlock()
		return nil
	}
	m.dirty = false
	out := m.kept
	out.LostList = slices.Collect(maps.Keys(m.kept.Lost))
	out.LostList = out.LostList[:min(len(out.LostList), maxLost)]
	b, err := json.Marshal(out)
	m.mu.Unlock()
	if err == nil {
		var f *os.File
		f, err = writeNew(m.path, func(w io.Writer) error { _, err := w.Write(b); return err })
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	if err != nil {
		m.mu.Lock()
		m.touch()
		m.mu.Unlock()
		return fmt.Errorf("save replication state: %w", err)
	}
	return nil
}

// position gives how far a store was followed, 0 for not at all.
func (m *memory) position(epoch string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept.Positions[epoch].Next
}

func (m *memory) setPosition(epoch string, next int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clamp()
	if p := m.kept.Positions[epoch]; p.Next != next || now.Sub(p.Seen) > time.Minute {
		m.kept.Positions[epoch] = position{next, now}
		m.touch()
	}
}

// clamp gives the time. What was noted while the clock was ahead is taken to be of
// now, or it would be so for as long as the clock was wrong. The lock is held.
func (m *memory) clamp() time.Time {
	now := m.now()
	for epoch, p := range m.kept.Positions {
		if p.Seen.After(now) {
			m.kept.Positions[epoch] = position{p.Next, now}
			m.touch()
		}
	}
	if m.kept.Scrub.Rested.After(now) {
		m.kept.Scrub.Rested = now
		m.touch()
	}
	return now
}

// known gives the stores that were heard of for so long. Positions of the others
// are kept: they tell what was seen of a store that comes back.
func (m *memory) known(long time.Duration) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clamp()
	var stores []string
	for epoch, p := range m.kept.Positions {
		if now.Sub(p.Seen) < long {
			stores = append(stores, epoch)
		}
	}
	return stores
}

// isBehind tells whether no other store was heard of for so long, though there were
// some, since caughtUp.
func (m *memory) isBehind(long time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept.Behind || len(m.kept.Positions) == 0 {
		return m.kept.Behind
	}
	now := m.clamp()
	for _, p := range m.kept.Positions {
		if now.Sub(p.Seen) <= long {
			return false
		}
	}
	m.kept.Behind = true
	m.touch()
	return true
}

// caughtUp ends being behind. It comes after other stores were heard of again.
func (m *memory) caughtUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept.Behind = false
	m.touch()
}

// setLost notes that the node has no good copy of a blob that it should hold, or
// has one again. It tells whether that is news.
func (m *memory) setLost(ref storage.Ref, lost bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept.Lost[ref] == lost {
		return false
	}
	m.touch()
	if lost {
		m.kept.Lost[ref] = true
	} else {
		delete(m.kept.Lost, ref)
	}
	return true
}

func (m *memory) isLost(ref storage.Ref) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept.Lost[ref]
}

func (m *memory) lost() []storage.Ref {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.kept.Lost))
}

func (m *memory) scrub() cursor {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clamp()
	return m.kept.Scrub
}

func (m *memory) setScrub(c cursor) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept.Scrub = c
	m.touch()
}
