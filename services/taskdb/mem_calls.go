package taskdb

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"
)

// Create implements [Tasks].
func (m *Memory) Create(ctx context.Context, n NewTask) (Task, error) {
	if err := ctx.Err(); err != nil {
		return Task{}, err
	}
	n, err := n.Canonical()
	if err != nil {
		return Task{}, err
	}
	t, isNew, err := m.create(n)
	if err != nil {
		return Task{}, err
	}
	if isNew {
		m.publish(t)
	}
	return clone(t), nil
}

func (m *Memory) create(n NewTask) (_ Task, isNew bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.tasks[n.ID]
	if !ok && n.IdempotencyKey != "" {
		old, ok = m.tasks[m.keys[n.IdempotencyKey]]
	}
	if ok {
		old, err = n.Answer(old)
		return old, false, err
	}
	t, err := Created(n, m.now())
	if err != nil {
		return Task{}, false, err
	}
	m.put(t)
	if t.IdempotencyKey != "" {
		m.keys[t.IdempotencyKey] = t.ID
	}
	return t, true, nil
}

// Get implements [Tasks].
func (m *Memory) Get(ctx context.Context, id string) (Task, error) {
	if err := ctx.Err(); err != nil {
		return Task{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tasks[id]
	if !ok {
		return Task{}, NotFound(id)
	}
	return clone(t), nil
}

// List implements [Tasks].
func (m *Memory) List(ctx context.Context, state State, after string, limit int) (Page, error) {
	return m.ListOwned(ctx, "", state, after, limit)
}

// Stats implements [Tasks].
func (m *Memory) Stats(ctx context.Context) (Stats, error) {
	if err := ctx.Err(); err != nil {
		return Stats{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Stats{States: map[State]int64{}}
	for state, set := range m.states {
		s.States[state] = int64(set.size)
	}
	if k, ok := m.queued.first(); ok {
		s.OldestWaiting = m.tasks[k.id].Created
	}
	return s, nil
}

// Cancel implements [Tasks].
func (m *Memory) Cancel(ctx context.Context, id string) (Task, error) {
	return m.change(ctx, id, Stopped)
}

// Retry implements [Tasks].
func (m *Memory) Retry(ctx context.Context, id string) (Task, error) {
	return m.change(ctx, id, Retried)
}

// Claim implements [Leases].
func (m *Memory) Claim(ctx context.Context, c Claim) ([]Task, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	tasks, woken, err := m.take(c)
	m.publish(woken...)
	m.publish(tasks...)
	for i := range tasks {
		tasks[i] = clone(tasks[i])
	}
	return tasks, err
}

func (m *Memory) take(c Claim) (tasks, woken []Task, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if err := m.silent.Check(c, now); err != nil {
		return nil, nil, err
	}
	woken = m.wake(now)
	tasks = m.takeFrom([]Task{}, Batch, c, m.lanes.Batch(c.Max), now)
	batch := len(tasks)
	tasks = m.takeFrom(tasks, Interactive, c, c.Max, now)
	interactive := len(tasks) - batch
	tasks = m.takeFrom(tasks, Batch, c, c.Max, now)
	m.lanes.Took(interactive, len(tasks)-interactive)
	slices.SortFunc(tasks, func(a, b Task) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return tasks, woken, nil
}

// takeFrom claims what a lane has, until there are most tasks.
func (m *Memory) takeFrom(tasks []Task, lane Lane, c Claim, most int, now time.Time) []Task {
	line := m.lines[lane]
	var keys []key
	line.from(key{n: math.MinInt64}, func(k key) bool {
		if len(tasks)+len(keys) < most && !c.Leaves(m.tasks[k.id].Needs) {
			keys = append(keys, k)
		}
		return len(tasks)+len(keys) < most
	})
	for _, k := range keys {
		t, err := m.cfg.Claimed(m.tasks[k.id], c.Worker, now)
		if err != nil {
			panic(err) // what stands in a line waits
		}
		m.put(t)
		line.served = max(line.served, k.n)
		tasks = append(tasks, t)
	}
	return tasks
}

// wake ends the pauses and schedules that are over.
func (m *Memory) wake(now time.Time) (woken []Task) {
	for _, order := range []*sorted{&m.paused, &m.plans} {
		for range MaxWake {
			k, ok := order.first()
			if !ok || k.n > now.UnixMicro() {
				break
			}
			t := m.tasks[k.id]
			t.NotBefore = time.Time{}
			m.put(t)
			woken = append(woken, t)
		}
	}
	return woken
}

// Renew implements [Leases].
func (m *Memory) Renew(ctx context.Context, l Lease, progress float64) (time.Time, error) {
	if err := CheckProgress(progress); err != nil {
		return time.Time{}, err
	}
	t, err := m.change(ctx, l.ID, func(t Task, now time.Time) (Task, bool, error) {
		t, err := m.cfg.Renewed(t, l.Attempt, progress, now)
		return t, err == nil, err
	})
	return t.LeaseUntil, err
}

// Finish implements [Leases].
func (m *Memory) Finish(ctx context.Context, id string, r Result) (Task, error) {
	r.Renditions, r.Facts = slices.Clone(r.Renditions), r.Facts.clone()
	return m.change(ctx, id, func(t Task, now time.Time) (Task, bool, error) { return Done(t, r, now) })
}

// Fail implements [Leases].
func (m *Memory) Fail(ctx context.Context, id string, f Failure) (Task, error) {
	f, err := f.Canonical()
	if err != nil {
		return Task{}, err
	}
	return m.change(ctx, id, func(t Task, now time.Time) (Task, bool, error) { return m.cfg.GivenUp(t, f, now) })
}

// Release implements [Leases].
func (m *Memory) Release(ctx context.Context, l Lease) error {
	_, err := m.change(ctx, l.ID, func(t Task, now time.Time) (Task, bool, error) {
		t, err := m.cfg.Released(t, l, now)
		return t, err == nil, err
	})
	return err
}

// Expire implements [Leases].
func (m *Memory) Expire(ctx context.Context) (Expiry, error) {
	if err := ctx.Err(); err != nil {
		return Expiry{}, err
	}
	e, woken, err := m.expire()
	m.publish(e.Tasks...)
	m.publish(woken...)
	for i := range e.Tasks {
		e.Tasks[i] = clone(e.Tasks[i])
	}
	return e, err
}

func (m *Memory) expire() (_ Expiry, woken []Task, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, tasks := m.now(), []Task{}
	m.shorten(now)
	for len(tasks) < maxExpire {
		k, ok := m.leases.first()
		if !ok || k.n > now.UnixMicro() {
			break
		}
		m.silent.Note(m.tasks[k.id].Worker, now)
		t, err := m.cfg.Expired(m.tasks[k.id], now)
		if err != nil {
			return Expiry{Tasks: tasks}, nil, err
		}
		m.put(t)
		tasks = append(tasks, t)
	}
	woken = m.wake(now)
	var ends []time.Time
	for _, order := range []*sorted{&m.leases, &m.paused, &m.plans} {
		if k, ok := order.first(); ok {
			ends = append(ends, time.UnixMicro(k.n))
		}
	}
	return Expiry{Tasks: tasks, NextMillis: m.cfg.NextExpiry(now, ends...)}, woken, nil
}

// shorten takes back what a clock that was set back has made of leases and pauses.
func (m *Memory) shorten(now time.Time) {
	lease, pause := now.Add(m.cfg.Lease), now.Add(m.cfg.BackoffMax)
	for _, t := range m.above(&m.leases, lease) {
		t.LeaseUntil = lease
		m.put(t)
	}
	for _, t := range m.above(&m.paused, pause) {
		t.NotBefore = pause
		m.put(t)
	}
}

// above gives the tasks whose place in an order by time is after t.
func (m *Memory) above(order *sorted, t time.Time) (tasks []Task) {
	order.from(key{n: t.UnixMicro() + 1}, func(k key) bool {
		tasks = append(tasks, m.tasks[k.id])
		return true
	})
	return tasks
}
