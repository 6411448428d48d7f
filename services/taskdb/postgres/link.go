package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"imagemill/internal/fault"
)

// watchEvery is how often a database that is away is tried, and restEvery how often
// one that nobody uses is.
const (
	watchEvery = 250 * time.Millisecond
	restEvery  = 5 * time.Second
)

// fullKept is for how long a full disk is believed in without a write that shows it.
const fullKept = 10 * time.Second

// migrateWithin bounds the wait for other processes that migrate, and migrating.
const migrateWithin = 10 * time.Minute

// link is what is known of the way to the database. The zero value is one that was
// not reached yet.
type link struct {
	where string
	log   *slog.Logger

	mu      sync.Mutex
	ready   bool   // the tables are there
	trouble string // "" for none
	last    time.Time
	full    time.Time // when a write last found no room
}

// missing says for /readyz what is wrong.
func (l *link) missing() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ready && l.trouble == "" {
		return nil
	}
	trouble := l.trouble
	if trouble == "" {
		trouble = "not reached yet"
	}
	return []string{fmt.Sprintf("PostgreSQL at %s (%s): %s", l.where, setting, trouble)}
}

// usable is nil once the tables are there.
func (l *link) usable() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ready {
		return nil
	}
	return fault.New(fault.Unavailable, "the task database is not there yet").WithRetryAfter(time.Second)
}

// well reports whether the last call got through.
func (l *link) well() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ready && l.trouble == ""
}

// idle reports whether nobody has learnt anything for a while.
func (l *link) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.ready || l.trouble != "" || time.Since(l.last) >= restEvery
}

// heard notes how a call went: what it means for the next ones. An error that says
// nothing about the way to the database leaves it as it is.
func (l *link) heard(err error) {
	var trouble string
	if err != nil {
		switch weatherOf(err) {
		case away, slow:
			trouble = "cannot be reached, or does not answer"
			if r := new(refusal); errors.As(err, &r) {
				trouble = r.found
			}
		case full:
			l.filled()
			trouble = "has no room left: free space or enlarge its volume; nothing that was accepted is lost"
		case broken, crossed:
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = time.Now()
	switch {
	case trouble == l.trouble:
	case trouble == "":
		l.log.Info("the database is there again", "setting", setting, "where", l.where)
	default:
		l.log.Error("the database cannot be used; it is tried until it can", "setting", setting, "where", l.where,
			"trouble", trouble, "error", err)
	}
	l.trouble = trouble
}

// filled notes that a write found no room.
func (l *link) filled() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = time.Now()
}

// isFull reports whether a write has found no room a moment ago.
func (l *link) isFull() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trouble != "" && time.Since(l.full) < fullKept
}

// arrived notes that the tables are there.
func (l *link) arrived() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready = true
}

// watch tries the database until it is there, and whenever nobody else does, so
// that /readyz is right without calls.
func (s *Store) watch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
		if s.link.idle() {
			_ = s.reach(s.ctx) // noted
		}
	}
}

// reach tries the database: a connection that is set and checked, and, the first
// time, the tables.
func (s *Store) reach(ctx context.Context) error {
	err := s.ping(ctx)
	if err == nil && s.link.usable() != nil {
		mctx, cancel := context.WithTimeout(ctx, migrateWithin)
		if err = migrate(mctx, s.pools.ConnConfig); err == nil {
			s.link.arrived()
		}
		cancel()
	}
	if ctx.Err() == nil && (err != nil || !s.link.isFull()) { // reading shows no room
		s.link.heard(err)
	}
	return err
}

// ping makes a round trip on the writer's pool.
func (s *Store) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	_, err := s.writer.Exec(ctx, "SELECT 1")
	return err
}
