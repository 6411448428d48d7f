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

// claim moves tasks in one statement, and gives them oldest first, which
// RETURNING does not promise.
func (s *session) claim(c taskdb.Claim, now, until time.Time) ([]taskdb.Task, error) {
	if err := s.silent.Check(c, now); err != nil {
		return nil, err
	}
	statement, args := s.st.claim, []any{backend.Micros(now), c.Worker, backend.Micros(until), c.Max}
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
	tasks, err := scanAll(rows)
	if err != nil {
		return nil, s.fail(fmt.Errorf("claim tasks: %w", err))
	}
	slices.SortFunc(tasks, func(a, b taskdb.Task) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
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
	e.NextMillis, err = s.nextExpiry(cfg, now)
	return e, err
}

// nextExpiry looks at the first lease that is held.
func (s *session) nextExpiry(cfg taskdb.Config, now time.Time) (int64, error) {
	var end int64
	switch err := s.st.firstLease.QueryRowContext(s.ctx).Scan(&end); {
	case errors.Is(err, sql.ErrNoRows):
		return cfg.NextExpiry(time.Time{}, now), nil
	case err != nil:
		return 0, s.fail(fmt.Errorf("find the first lease: %w", err))
	}
	return cfg.NextExpiry(time.UnixMicro(end), now), nil
}

// cut shortens leases and pauses that end later than any that begins now.
func (s *session) cut(cfg taskdb.Config, now time.Time) error {
	if _, err := s.st.shorten.ExecContext(s.ctx, backend.Micros(now.Add(cfg.Lease))); err != nil {
		return s.fail(fmt.Errorf("shorten leases: %w", err))
	}
	if _, err := s.st.unpause.ExecContext(s.ctx, backend.Micros(now.Add(cfg.BackoffMax))); err != nil {
		return s.fail(fmt.Errorf("shorten pauses: %w", err))
	}
	return nil
}
