package sqlite

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
	rows, err := s.reads.twins.QueryContext(ctx, l.Number(), taskdb.MaxTwins)
	var tasks []taskdb.Task
	if err == nil {
		tasks, err = scanAll(rows)
	}
	if err != nil {
		return nil, fmt.Errorf("find twins: %w", s.readFailure(ctx, err))
	}
	return taskdb.SortTwins(l, tasks), nil
}
