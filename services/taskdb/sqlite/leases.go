package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/backend"
)

// maxExpire bounds the leases that one Expire ends.
const maxExpire = 1000

// Claim implements [taskdb.Leases].
func (s *Store) Claim(ctx context.Context, c taskdb.Claim) ([]taskdb.Task, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	var out []taskdb.Task
	err := s.queue.Do(ctx, func(se *session, now time.Time) (err error) {
		out, err = se.claim(c, now, now.Add(s.cfg.Lease))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	return out, nil
}

// claim takes tasks of both lanes, and gives them oldest first.
func (s *session) claim(c taskdb.Claim, now, until time.Time) ([]taskdb.Task, error) {
	if err := s.silent.Check(c, now); err != nil {
		return nil, err
	}
	if err := s.wake(now); err != nil {
		return nil, err
	}
	tasks := []taskdb.Task{}
	took := map[taskdb.Lane]int{}
	for _, part := range []struct {
		lane taskdb.Lane
		most int
	}{{taskdb.Batch, s.lanes.Batch(c.Max)}, {taskdb.Interactive, c.Max}, {taskdb.Batch, c.Max}} {
		some, err := s.claimOf(part.lane, c, part.most-len(tasks), now, until)
		if err != nil {
			return nil, err
		}
		tasks, took[part.lane] = append(tasks, some...), took[part.lane]+len(some)
	}
	s.lanes.Took(took[taskdb.Interactive], took[taskdb.Batch])
	slices.SortFunc(tasks, func(a, b taskdb.Task) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return tasks, nil
}

// claimOf takes up to most tasks of a lane, in one statement.
func (s *session) claimOf(lane taskdb.Lane, c taskdb.Claim, most int, now, until time.Time) ([]taskdb.Task, error) {
	number := backend.LaneNumber(lane)
	if most <= 0 || s.turns.empty[number] {
		return nil, nil
	}
	statement, args := s.st.claim, []any{backend.Micros(now), c.Worker, backend.Micros(until), most, number}
	if len(c.Others) > 0 {
		statement, args = s.st.claimSome, append(args, c.Can)
		for i := range taskdb.MaxOthers { // the last one stands for those that there are not
			args = append(args, c.Others[min(i, len(c.Others)-1)])
		}
	}
	rows, err := statement.QueryContext(s.ctx, args...)
	if err != nil {
		return nil, s.fail(fmt.Errorf("claim tasks: %w", err))
	}
	served := highest(s.turns.served[number])
	tasks, err := scanAll(rows, &served)
	if err != nil {
		return nil, s.fail(fmt.Errorf("claim tasks: %w", err))
	}
	s.turns.served[number] = int64(served)
	s.turns.empty[number] = len(tasks) < most && len(c.Others) == 0
	for _, t := range tasks {
		s.moved(taskdb.NotStarted, t)
	}
	return tasks, nil
}

// Renew implements [taskdb.Leases].
func (s *Store) Renew(ctx context.Context, l taskdb.Lease, progress float64) (time.Time, error) {
	if err := taskdb.CheckProgress(progress); err != nil {
		return time.Time{}, err
	}
	var until time.Time
	err := s.queue.Do(ctx, func(se *session, now time.Time) error {
		t, err := se.get(l.ID)
		if err != nil {
			return err
		}
		if t, err = s.cfg.Renewed(t, l.Attempt, progress, now); err != nil {
			return err
		}
		until = t.LeaseUntil
		return se.renew(t)
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("renew lease: %w", err)
	}
	return until, nil
}

// renew writes the lease only, and so leaves most orders of the table alone.
func (s *session) renew(t taskdb.Task) error {
	if _, err := s.st.renew.ExecContext(s.ctx, backend.Micros(t.LeaseUntil), t.Progress, t.ID); err != nil {
		return s.fail(fmt.Errorf("renew task %s: %w", t.ID, err))
	}
	s.changed = append(s.changed, t)
	return nil
}

// Expire implements [taskdb.Leases].
func (s *Store) Expire(ctx context.Context) (taskdb.Expiry, error) {
	var out taskdb.Expiry
	err := s.queue.Do(ctx, func(se *session, now time.Time) (err error) {
		out, err = se.expire(s.cfg, now)
		return err
	})
	if err != nil {
		return taskdb.Expiry{}, fmt.Errorf("expire leases: %w", err)
	}
	return out, nil
}

func (s *session) expire(cfg taskdb.Config, now time.Time) (e taskdb.Expiry, err error) {
	if err := s.cut(cfg, now); err != nil {
		return e, err
	}
	rows, err := s.st.expired.QueryContext(s.ctx, backend.Micros(now), maxExpire)
	if err != nil {
		return e, s.fail(fmt.Errorf("find leases: %w", err))
	}
	if e.Tasks, err = scanAll(rows); err != nil {
		return e, s.fail(fmt.Errorf("find leases: %w", err))
	}
	for i, old := range e.Tasks {
		s.silent.Note(old.Worker, now)
		if e.Tasks[i], err = cfg.Expired(old, now); err != nil {
			return e, s.fail(err) // some are written already
		}
		if err := s.save(old.State, e.Tasks[i]); err != nil {
			return e, s.fail(err)
		}
	}
	if err := s.wake(now); err != nil {
		return e, err
	}
	e.NextMillis, err = s.nextExpiry(cfg, now)
	return e, err
}

// nextExpiry looks at the first lease that is held, and the first that waits for a
// time.
func (s *session) nextExpiry(cfg taskdb.Config, now time.Time) (int64, error) {
	var end, due int64
	if err := s.st.firstLease.QueryRowContext(s.ctx).Scan(&end); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, s.fail(fmt.Errorf("find the first lease: %w", err))
	}
	if err := s.st.firstDue.QueryRowContext(s.ctx).Scan(&due); err != nil {
		return 0, s.fail(fmt.Errorf("find the first pause: %w", err))
	}
	return cfg.NextExpiry(now, backend.Moment(end), backend.Moment(due)), nil
}

// cut shortens leases and pauses that end later than any that begins now.
func (s *session) cut(cfg taskdb.Config, now time.Time) error {
	if _, err := s.st.shorten.ExecContext(s.ctx, backend.Micros(now.Add(cfg.Lease))); err != nil {
		return s.fail(fmt.Errorf("shorten leases: %w", err))
	}
	if _, err := s.st.unpause.ExecContext(s.ctx, backend.Micros(now.Add(cfg.BackoffMax))); err != nil {
		return s.fail(fmt.Errorf("shorten pauses: %w", err))
	}
	s.turns.due = min(s.turns.due, backend.Micros(now.Add(cfg.BackoffMax)))
	return nil
}
