package cloud

import (
	"context"
	"sync"
	"time"

	"imagemill/services/storage"
)

const (
	// quiet is how long after a call that went well no other is made to see how the
	// bucket is: lists cost money.
	quiet = time.Minute
	// leftFor is the age at which parts of an upload count as left by a process that
	// died: no upload takes that long.
	leftFor = 24 * time.Hour
	// tidyEvery is how often such are looked for.
	tidyEvery = time.Hour
)

// health is what is known of the bucket. What calls meet counts, so that a busy
// store asks for nothing more.
type health struct {
	place string

	mu   sync.Mutex
	last time.Time // of a call that went well
	err  error     // since then; errUnknown before the first
}

func (h *health) reached() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last, h.err = time.Now(), nil
}

func (h *health) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

// due reports whether the bucket has to be asked.
func (h *health) due() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err != nil || time.Since(h.last) > quiet
}

// Missing says, for /readyz, that the bucket is not reached; nil while it is. The
// cause is in the log alone: it may hold addresses.
func (s *Store) Missing() []string {
	h := &s.health
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.err != nil:
		return []string{"the object store " + h.place + " cannot be reached"}
	case h.last.IsZero():
		return []string{"the object store " + h.place + " has not been reached yet"}
	}
	return nil
}

// Run looks for the bucket while it is not reached, and removes what processes
// that died have left, until ctx is done.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.ProbeEvery)
	defer tick.Stop()
	var tidied time.Time
	lost := false
	for {
		if s.health.due() {
			lost = s.probe(ctx, lost)
		}
		if !lost && time.Since(tidied) > tidyEvery {
			s.tidy(ctx)
			tidied = time.Now()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// probe asks the bucket, and says so when that has changed.
func (s *Store) probe(ctx context.Context, lost bool) bool {
	_, _, err := s.names(ctx, storage.InProgress, "", 1)
	switch {
	case ctx.Err() != nil:
		return lost
	case err != nil:
		s.health.failed(err)
		if !lost {
			s.log.Warn("the object store cannot be reached", "store", s.place.String(), "error", err)
		}
		return true
	}
	s.health.reached()
	if lost {
		s.log.Info("the object store is reached again", "store", s.place.String())
	}
	return false
}

// tidier is a bucket in which processes that die leave something.
type tidier interface {
	// tidy removes what uploads below the prefix have left that began before then.
	tidy(ctx context.Context, prefix string, then time.Time) (int, error)
}

func (s *Store) tidy(ctx context.Context) {
	b, ok := s.bucket.(tidier)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*s.cfg.CallTimeout)
	defer cancel()
	n, err := b.tidy(ctx, s.place.Prefix, time.Now().Add(-leftFor))
	if n > 0 {
		s.log.Info("removed unfinished uploads of processes that died", "uploads", n)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn("unfinished uploads cannot be removed; a lifecycle rule of the bucket can", "error", err)
	}
}
