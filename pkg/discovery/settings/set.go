package settings

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"imagemill/pkg/discovery"
)

// DefaultInterval is the least time between two documents that are applied.
const DefaultInterval = 50 * time.Millisecond

// Config is what a Set is set by.
type Config struct {
	// Known are the settings that others may apply, so that they are not taken for
	// mistakes; what is registered with Use counts too.
	Known Catalogue
	// Interval is the least time between two documents that are applied; zero is
	// DefaultInterval. The first change after a quiet time does not wait.
	Interval time.Duration
	// Log hears of changes and refusals; nil for silence.
	Log *slog.Logger
}

// Set is the settings of one program. Make it with New; a nil *Set is one whose
// settings never change. It is safe for concurrent use.
type Set struct {
	cfg Config
	log *slog.Logger

	applied, refused atomic.Uint64

	applying sync.Mutex // held while a document is applied and subscribers are told
	mu       sync.Mutex // guards what follows
	fields   []field
	doc      discovery.Document // the newest; nil before the first
	unknown  map[string]bool    // have been logged
}

// field is a Value or a Family.
type field interface {
	// take looks for itself in the document and gives what came of it. The set's
	// lock is held.
	take(doc discovery.Document) []outcome
	// tell calls the subscribers. No lock is held but applying.
	tell()
	// covers reports whether a name is its own.
	covers(name string) bool
	// show adds what is in effect. The set's lock is held.
	show(all map[string]Shown)
}

// New makes a Set without a document.
func New(cfg Config) *Set {
	if cfg.Interval <= 0 {
		cfg.Interval = DefaultInterval
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Set{cfg: cfg, log: cfg.Log, unknown: map[string]bool{}}
}

// Run applies the store's documents until ctx is done, and returns nil.
func (s *Set) Run(ctx context.Context, store discovery.SettingsStore) error {
	// The store puts the newest document in the place of one that was not read, so
	// whatever comes during the pause costs nothing here.
	for doc := range store.WatchSettings(ctx) {
		if ctx.Err() != nil {
			continue // until the channel is closed
		}
		s.Apply(doc)
		rest := time.NewTimer(s.cfg.Interval)
		select {
		case <-rest.C:
		case <-ctx.Done():
			rest.Stop()
		}
	}
	return nil
}

// Apply puts all values of the document in place, then tells the subscribers of
// those that changed. Run calls it; a test may.
func (s *Set) Apply(doc discovery.Document) {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.mu.Lock()
	s.doc = doc
	changed, outcomes := []field{}, []outcome{}
	for _, f := range s.fields {
		all := f.take(doc)
		outcomes = append(outcomes, all...)
		if anyChanged(all) {
			changed = append(changed, f)
		}
	}
	strange := s.strange(doc)
	s.mu.Unlock()
	for _, o := range outcomes {
		s.say(o)
	}
	for _, name := range strange {
		s.log.Warn("shared setting is known to nobody here", "setting", name, "writer", writer(doc[name]))
	}
	for _, f := range changed {
		f.tell()
	}
}

// add registers a field, which takes what there is already.
func (s *Set) add(f field) {
	if s == nil {
		return
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	s.mu.Lock()
	s.fields = append(s.fields, f)
	outcomes := f.take(s.doc)
	s.mu.Unlock()
	for _, o := range outcomes {
		s.say(o)
	}
}

// Counts gives how many values were put in place, and how many refused, since
// the start.
func (s *Set) Counts() (applied, refused uint64) { return s.applied.Load(), s.refused.Load() }
