package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/backend"
)

// Create implements [taskdb.Tasks].
func (s *Store) Create(ctx context.Context, n taskdb.NewTask) (taskdb.Task, error) {
	n, err := n.Canonical()
	if err != nil {
		return taskdb.Task{}, err
	}
	if _, err := n.Due(s.now()); err != nil {
		return taskdb.Task{}, err
	}
	o := &op{create: &n}
	if err := s.do(ctx, o); err != nil {
		return taskdb.Task{}, fmt.Errorf("create task: %w", err)
	}
	return o.task, nil
}

// Claim implements [taskdb.Leases].
func (s *Store) Claim(ctx context.Context, c taskdb.Claim) ([]taskdb.Task, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	o := &op{claim: &c}
	if err := s.do(ctx, o); err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	return append([]taskdb.Task{}, o.tasks...), nil
}

// Renew implements [taskdb.Leases].
func (s *Store) Renew(ctx context.Context, l taskdb.Lease, progress float64) (time.Time, error) {
	if err := taskdb.CheckProgress(progress); err != nil {
		return time.Time{}, err
	}
	t, err := s.change(ctx, l.ID, func(t taskdb.Task, now time.Time) (taskdb.Task, bool, error) {
		t, err := s.cfg.Renewed(t, l.Attempt, progress, now)
		return t, err == nil, err
	})
	return t.LeaseUntil, err
}

// Expire implements [taskdb.Leases].
func (s *Store) Expire(ctx context.Context) (taskdb.Expiry, error) {
	o := &op{expire: true}
	if err := s.do(ctx, o); err != nil {
		return taskdb.Expiry{}, fmt.Errorf("expire leases: %w", err)
	}
	return taskdb.Expiry{Tasks: append([]taskdb.Task{}, o.tasks...), NextMillis: o.next}, nil
}

// change applies a rule to one task. What is no ID at all is no task's.
func (s *Store) change(ctx context.Context, id string, rule backend.Rule) (taskdb.Task, error) {
	if taskdb.CheckID(id) != nil {
		return taskdb.Task{}, taskdb.NotFound(id)
	}
	o := &op{rule: rule, id: id}
	if err := s.do(ctx, o); err != nil {
		return taskdb.Task{}, fmt.Errorf("change task: %w", err)
	}
	return o.task, nil
}

// Get implements [taskdb.Tasks].
func (s *Store) Get(ctx context.Context, id string) (taskdb.Task, error) {
	if err := ctx.Err(); err != nil {
		return taskdb.Task{}, err
	}
	if taskdb.CheckID(id) != nil {
		return taskdb.Task{}, taskdb.NotFound(id)
	}
	tasks, err := s.tasks(ctx, sqlGet, []string{id})
	if err != nil {
		return taskdb.Task{}, fmt.Errorf("read task %s: %w", id, err)
	}
	if len(tasks) == 0 {
		return taskdb.Task{}, taskdb.NotFound(id)
	}
	return tasks[0], nil
}

// text makes of a cursor what PostgreSQL takes, with the same IDs above it: no ID
// holds a zero byte, or anything beyond ASCII.
func text(after string) string {
	after, _, _ = strings.Cut(after, "\x00")
	return strings.ToValidUTF8(after, "\U0010FFFF")
}

// Stats implements [taskdb.Tasks]. Its cost does not depend on how many tasks
// there are.
func (s *Store) Stats(ctx context.Context) (taskdb.Stats, error) {
	var n [5]int64
	var oldest int64
	err := s.look(ctx, func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&n[0], &n[1], &n[2], &n[3], &n[4], &oldest}, func() error { return nil })
		return err
	}, sqlCounts)
	if err != nil {
		return taskdb.Stats{}, fmt.Errorf("count tasks: %w", err)
	}
	st := taskdb.Stats{States: map[taskdb.State]int64{}, OldestWaiting: backend.Moment(oldest)}
	for i, state := range taskdb.States() {
		st.States[state] = n[i]
	}
	return st, nil
}

// tasks reads tasks.
func (s *Store) tasks(ctx context.Context, statement string, args ...any) (tasks []taskdb.Task, err error) {
	err = s.look(ctx, func(rows pgx.Rows) error {
		defer rows.Close()
		tasks = []taskdb.Task{}
		for rows.Next() {
			t, err := backend.Scan(rows)
			if err != nil {
				return err
			}
			tasks = append(tasks, t)
		}
		return rows.Err()
	}, statement, args...)
	return tasks, err
}

// look reads, and again where the connection was lost and the database was well a
// moment ago: reading can always be repeated.
func (s *Store) look(ctx context.Context, read func(pgx.Rows) error, statement string, args ...any) error {
	if err := s.link.usable(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	patient := s.link.well()
	pause, end := againFirst, time.Now().Add(againFor)
	for {
		rows, err := s.reader.Query(ctx, statement, args...)
		if err == nil {
			err = read(rows)
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil { // the caller's own end, before what the driver makes of it
			return ctx.Err()
		}
		if !patient || !repeatable(err) || time.Now().Add(pause).After(end) || !s.pause(pause) {
			s.link.heard(err)
			return failure(err)
		}
		pause = min(2*pause, againMost)
	}
}
