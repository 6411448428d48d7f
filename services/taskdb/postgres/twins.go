package postgres

import (
	"context"
	"fmt"

	"imagemill/services/taskdb"
)

// Twins implements [taskdb.Twins].
func (s *Store) Twins(ctx context.Context, l taskdb.Likeness) ([]taskdb.Task, error) {
	l, err := l.Canonical()
	if err != nil {
		return nil, err
	}
	tasks, err := s.tasks(ctx, sqlTwins, l.Number(), taskdb.MaxTwins)
	if err != nil {
		return nil, fmt.Errorf("find twins: %w", err)
	}
	return taskdb.SortTwins(l, tasks), nil
}
