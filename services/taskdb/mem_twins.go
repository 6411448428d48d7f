package taskdb

import "context"

// Twins implements [Twins]. It looks at all tasks.
func (m *Memory) Twins(ctx context.Context, l Likeness) ([]Task, error) {
	l, err := l.Canonical()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	all := []Task{}
	for _, t := range m.tasks {
		if l.Same(t) {
			all = append(all, clone(t))
		}
	}
	found, count := []Task{}, map[State]int{}
	for _, t := range SortTwins(l, all) {
		if count[t.State]++; count[t.State] <= MaxTwins {
			found = append(found, t)
		}
	}
	return found, nil
}
