package taskdb

import (
	"context"
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
	m.mu.Lock()
	if old, ok := m.tasks[n.ID]; ok {
		m.mu.Unlock()
		if !n.SameAs(old) {
			return Task{}, Clash(old)
		}
		return clone(old), nil
	}
	t := Created(n, m.now())
	m.put(t)
	m.mu.Unlock()
	m.publish(t)
	return clone(t), nil
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
	limit, err := CheckList(state, limit)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Page{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := Page{Tasks: []Task{}}
	m.states[state].from(key{id: after}, func(k key) bool {
		switch {
		case k.id == after:
			return true
		case len(p.Tasks) == limit:
			p.Next = p.Tasks[limit-1].ID
			return false
		}
		p.Tasks = append(p.Tasks, clone(m.tasks[k.id]))
		return true
	})
	return p, nil
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
	tasks, err := m.take(c)
	m.publish(tasks...)
	for i := range tasks {
		tasks[i] = clone(tasks[i])
	}
	return tasks, err
}

func (m *Memory) take(c Claim) ([]Task, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if err := m.silent.Check(c, now); err != nil {
		return nil, err
	}
	var candidates []key
	m.ready.from(key{}, func(k key) bool {
		if !c.Leaves(m.tasks[k.id].Needs) {
			candidates = append(candidates, k)
		}
		return len(candidates) < c.Max
	})
	due := 0
	m.paused.from(key{}, func(k key) bool {
		if k.n > now.UnixMicro() || due == maxDue {
			return false
		}
		if c.Leaves(m.tasks[k.id].Needs) {
			return true
		}
		due++
		candidates = append(candidates, key{m.tasks[k.id].Created.UnixMicro(), k.id})
		return true
	})
	slices.SortFunc(candidates, key.compare)
	tasks := make([]Task, 0, min(c.Max, len(candidates)))
	for _, k := range candidates[:min(c.Max, len(candidates))] {
		t, err := m.cfg.Claimed(m.tasks[k.id], c.Worker, now)
		if err != nil {
			return tasks, err
		}
		m.put(t)
		tasks = append(tasks, t)
	}
	return tasks, nil
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
		t, err := Released(t, l.Attempt, now)
		return t, err == nil, err
	})
	return err
}

// Expire implements [Leases].
func (m *Memory) Expire(ctx context.Context) (Expiry, error) {
	if err := ctx.Err(); err != nil {
		return Expiry{}, err
	}
	e, err := m.expire()
	m.publish(e.Tasks...)
	for i := range e.Tasks {
		e.Tasks[i] = clone(e.Tasks[i])
	}
	return e, err
}

func (m *Memory) expire() (Expiry, error) {
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
			return Expiry{Tasks: tasks}, err
		}
		m.put(t)
		tasks = append(tasks, t)
	}
	var end time.Time
	if k, ok := m.leases.first(); ok {
		end = time.UnixMicro(k.n)
	}
	return Expiry{Tasks: tasks, NextMillis: m.cfg.NextExpiry(end, now)}, nil
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
