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

	mu      sync.Mutex
	tasks   map[string]Task
	keys    map[string]string // IDs, by idempotency key
	turns   map[string]int64  // of the tasks, by ID; see [Leases].Claim
	states  map[State]*sorted
	owned   map[ownedState]*sorted
	queued  sorted            // NotStarted but not scheduled, by creation
	lines   map[Lane]*line    // NotStarted, without NotBefore
	last    map[queue]*sorted // NotStarted, by turn, the last one first
	paused  sorted            // NotStarted, by NotBefore
	plans   sorted            // those scheduled, which have no turn yet, by NotBefore
	ended   map[State]*sorted // by Updated; those at their end count
	expires sorted            // with Expires, by it
	leases  sorted            // InProgress, by the end of the lease
	lanes   Lanes
	silent  Silences
}

// line is what can be claimed of a lane, by turn, then by creation, and the turn
// that was claimed last.
type line struct {
	sorted
	served int64
}

// queue is one owner's in a lane.
type queue struct {
	lane  Lane
	owner string
}

// ownedState is a state of one owner's tasks.
type ownedState struct {
	owner string
	state State
}

// unplaced is the turn of a task that is scheduled.
const unplaced = -1

var _ Store = (*Memory)(nil)

// NewMemory makes an empty store.
func NewMemory(cfg Config, deps MemoryDeps) *Memory {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	m := &Memory{
		cfg: cfg, deps: deps, tasks: map[string]Task{}, keys: map[string]string{}, ended: map[State]*sorted{}, turns: map[string]int64{}, states: map[State]*sorted{},
		owned: map[ownedState]*sorted{}, lines: map[Lane]*line{Interactive: {}, Batch: {}}, last: map[queue]*sorted{},
	}
	for _, s := range States() {
		m.states[s], m.ended[s] = &sorted{}, &sorted{}
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
	visit(m.ended[t.State], key{n: t.Updated.UnixMicro(), id: t.ID})
	if !t.Expires.IsZero() {
		visit(&m.expires, key{n: t.Expires.UnixMicro(), id: t.ID})
	}
	if t.Owner != "" {
		visit(setOf(m.owned, ownedState{t.Owner, t.State}), key{id: t.ID})
	}
	switch t.State {
	case NotStarted:
		m.placesWaiting(t, visit)
	case InProgress:
		visit(&m.leases, key{n: t.LeaseUntil.UnixMicro(), id: t.ID})
	case Finished, Failed, Cancelled:
	}
}

func (m *Memory) placesWaiting(t Task, visit func(*sorted, key)) {
	turn, created, due := m.turns[t.ID], t.Created.UnixMicro(), key{n: t.NotBefore.UnixMicro(), id: t.ID}
	if turn == unplaced {
		visit(&m.plans, due)
		return
	}
	visit(&m.queued, key{n: created, id: t.ID})
	if t.Owner != "" {
		visit(setOf(m.last, queue{t.Lane, t.Owner}), key{n: -turn, id: t.ID})
	}
	if t.NotBefore.IsZero() {
		visit(&m.lines[t.Lane].sorted, key{n: turn, m: created, id: t.ID})
	} else {
		visit(&m.paused, due)
	}
}

// setOf gives the set of a key, which it makes where there is none.
func setOf[K comparable](all map[K]*sorted, k K) *sorted {
	if all[k] == nil {
		all[k] = &sorted{}
	}
	return all[k]
}

// put replaces a task in all orders, and gives it a turn where it needs one.
func (m *Memory) put(t Task) {
	old, ok := m.tasks[t.ID]
	if ok {
		m.places(old, (*sorted).remove)
	}
	scheduled := !ok && !t.NotBefore.IsZero()
	switch {
	case scheduled:
		m.turns[t.ID] = unplaced
	case !ok, t.Again(old.State), m.turns[t.ID] == unplaced && t.NotBefore.IsZero() && t.State == NotStarted:
		m.turns[t.ID] = m.turn(t)
	}
	t.behind = false
	m.tasks[t.ID] = t
	m.places(t, (*sorted).add)
}

// turn gives the next turn of a task's owner; the task stands in no order.
func (m *Memory) turn(t Task) int64 {
	served := m.lines[t.Lane].served
	if t.Owner == "" {
		return served
	}
	if k, ok := setOf(m.last, queue{t.Lane, t.Owner}).first(); ok {
		return max(served, -k.n) + 1
	}
	return served + 1
}

// drop takes a task out of all orders.
func (m *Memory) drop(t Task) {
	m.places(t, (*sorted).remove)
	delete(m.tasks, t.ID)
	delete(m.turns, t.ID)
	delete(m.keys, t.IdempotencyKey)
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
