package taskdb

import (
	"context"
	"slices"
	"sync"
	"time"

	"imagemill/internal/events"
)

// maxExpire bounds the leases that one Expire ends.
const maxExpire = 1000

// maxDue bounds the tasks back from a backoff that one claim looks at.
const maxDue = 256

// MemoryDeps is what a [Memory] works with.
type MemoryDeps struct {
	// Events hears of every change; nil for nobody.
	Events events.Publisher
	// Now is the clock of leases; nil for time.Now.
	Now func() time.Time
}

// Memory is a Store that keeps nothing beyond its life: for tests, and as the
// model that other backends are compared with. Make it with [NewMemory].
type Memory struct {
	cfg  Config
	deps MemoryDeps

	mu     sync.Mutex
	tasks  map[string]Task
	states map[State]*sorted // by ID
	queued sorted            // NotStarted, by creation
	ready  sorted            // those of them without NotBefore, by creation
	paused sorted            // those of them with NotBefore, by it
	leases sorted            // InProgress, by the end of the lease
	silent Silences
}

var _ Store = (*Memory)(nil)

// NewMemory makes an empty store.
func NewMemory(cfg Config, deps MemoryDeps) *Memory {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	m := &Memory{cfg: cfg, deps: deps, tasks: map[string]Task{}, states: map[State]*sorted{}}
	for _, s := range States() {
		m.states[s] = &sorted{}
	}
	return m
}

// now is the clock at the resolution and in the zone that all backends keep.
func (m *Memory) now() time.Time { return Stamp(m.deps.Now()) }

// Stamp gives a time as tasks carry it: UTC, in whole microseconds.
func Stamp(t time.Time) time.Time { return time.UnixMicro(t.UnixMicro()).UTC() }

// places gives the orders that a task stands in, and where.
func (m *Memory) places(t Task, visit func(*sorted, key)) {
	visit(m.states[t.State], key{id: t.ID})
	switch t.State {
	case NotStarted:
		visit(&m.queued, key{t.Created.UnixMicro(), t.ID})
		if t.NotBefore.IsZero() {
			visit(&m.ready, key{t.Created.UnixMicro(), t.ID})
		} else {
			visit(&m.paused, key{t.NotBefore.UnixMicro(), t.ID})
		}
	case InProgress:
		visit(&m.leases, key{t.LeaseUntil.UnixMicro(), t.ID})
	case Finished, Failed, Cancelled:
	}
}

// put replaces a task in all orders.
func (m *Memory) put(t Task) {
	if old, ok := m.tasks[t.ID]; ok {
		m.places(old, (*sorted).remove)
	}
	m.tasks[t.ID] = t
	m.places(t, (*sorted).add)
}

// publish tells of changes, after the lock is given back.
func (m *Memory) publish(tasks ...Task) {
	if m.deps.Events == nil {
		return
	}
	for _, t := range tasks {
		m.deps.Events.Publish(EventOf(t))
	}
}

// change applies a rule to one task and tells of it.
func (m *Memory) change(ctx context.Context, id string, rule func(Task, time.Time) (Task, bool, error)) (Task, error) {
	if err := ctx.Err(); err != nil {
		return Task{}, err
	}
	t, changed, err := m.apply(id, rule)
	if err != nil {
		return Task{}, err
	}
	if changed {
		m.publish(t)
	}
	return clone(t), nil
}

func (m *Memory) apply(id string, rule func(Task, time.Time) (Task, bool, error)) (Task, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.tasks[id]
	if !ok {
		return Task{}, false, NotFound(id)
	}
	t, changed, err := rule(old, m.now())
	if changed {
		m.put(t)
	}
	return t, changed, err
}

// clone gives a copy that shares nothing with the stored task.
func clone(t Task) Task {
	t.Pipeline = slices.Clone(t.Pipeline)
	t.Failures = slices.Clone(t.Failures)
	if t.Result != nil {
		r := *t.Result
		r.Renditions, r.Facts = slices.Clone(r.Renditions), r.Facts.clone()
		t.Result = &r
	}
	return t
}
