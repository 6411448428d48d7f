package taskdb

import "context"

// ListOwned implements [Owners].
func (m *Memory) ListOwned(ctx context.Context, owner string, state State, after string, limit int) (Page, error) {
	limit, err := CheckList(state, limit)
	if err == nil {
		err = CheckOwner(owner)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Page{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.page(owner, state, after, limit), nil
}

// page gives the tasks of an owner, "" for all, in a state.
func (m *Memory) page(owner string, state State, after string, limit int) Page {
	set := m.states[state]
	if owner != "" {
		set = setOf(m.owned, ownedState{owner, state})
	}
	p := Page{Tasks: []Task{}}
	set.from(key{id: after}, func(k key) bool {
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
	return p
}

// RetryFailed implements [Owners].
func (m *Memory) RetryFailed(ctx context.Context, owner, after string, limit int) (Retries, error) {
	limit, err := CheckList(Failed, limit)
	if err == nil {
		err = CheckOwner(owner)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Retries{}, err
	}
	tasks, next, err := m.retryFailed(owner, after, limit)
	m.publish(tasks...)
	return Retries{Retried: len(tasks), Next: next}, err
}

func (m *Memory) retryFailed(owner, after string, limit int) (tasks []Task, next string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.page(owner, Failed, after, limit)
	for i, t := range p.Tasks {
		if p.Tasks[i], _, err = Retried(t, m.now()); err != nil {
			return nil, "", err
		}
	}
	for _, t := range p.Tasks {
		m.put(t)
	}
	return p.Tasks, p.Next, nil
}
