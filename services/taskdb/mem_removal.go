package taskdb

import (
	"context"
	"time"
)

// Delete implements [Removals].
func (m *Memory) Delete(ctx context.Context, id string) (Removed, error) {
	if err := ctx.Err(); err != nil {
		return Removed{}, err
	}
	m.mu.Lock()
	old, ok := m.tasks[id]
	if !ok {
		m.mu.Unlock()
		return Removed{}, NotFound(id)
	}
	r, news := m.remove(old, m.now())
	m.mu.Unlock()
	m.publish(news...)
	return r, nil
}

// remove takes a task away, and gives what is to be told.
func (m *Memory) remove(old Task, now time.Time) (r Removed, news []Task) {
	t, told := Removing(old, now)
	if told {
		news = []Task{t}
	}
	m.drop(old)
	return Removed{Task: clone(t)}, news
}

// Purge implements [Removals].
func (m *Memory) Purge(ctx context.Context, r Retention) ([]Removed, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	removed, news := m.purge(r)
	m.publish(news...)
	return removed, nil
}

func (m *Memory) purge(r Retention) (removed []Removed, news []Task) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	removed = []Removed{}
	drop := func(order *sorted, until time.Time) {
		for len(removed) < MaxPurge {
			k, ok := order.first()
			if !ok || k.n > until.UnixMicro() {
				return
			}
			gone, told := m.remove(m.tasks[k.id], now)
			removed, news = append(removed, gone), append(news, told...)
		}
	}
	drop(&m.expires, now)
	for _, s := range []State{Finished, Failed, Cancelled} {
		if end, ok := r.Ended(s, now); ok {
			drop(m.ended[s], end)
		}
	}
	SortRemoved(removed)
	return removed, news
}
