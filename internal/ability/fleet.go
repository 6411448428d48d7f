package ability

import (
	"context"
	"slices"
	"sync"
	"time"

	"imagemill/pkg/discovery"
)

// Kept is for how long the abilities of a worker count that is no longer announced:
// it may be restarting.
const Kept = time.Minute

// Fleet follows what the workers that are announced can do. Make it with [NewFleet].
type Fleet struct {
	registry discovery.Registry
	now      func() time.Time

	mu     sync.Mutex
	seen   map[Set]time.Time // when a set was announced for the last time; zero: it is
	silent bool              // a worker is announced that does not say what it can do
}

// NewFleet makes a fleet of which nothing is known before it runs. now is the clock.
func NewFleet(registry discovery.Registry, now func() time.Time) *Fleet {
	return &Fleet{registry: registry, now: now, seen: map[Set]time.Time{}}
}

// Run follows the registry until ctx is done, and returns nil.
func (f *Fleet) Run(ctx context.Context) error {
	for set := range f.registry.Watch(ctx, "worker") {
		f.update(set)
	}
	return nil
}

func (f *Fleet) update(instances []discovery.Instance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s, last := range f.seen {
		if last.IsZero() {
			f.seen[s] = f.now()
		}
	}
	f.silent = false
	for _, in := range instances {
		s, err := Parse(in.Tags[Tag])
		if err != nil { // of an older version, or written down by hand
			f.silent = true
			continue
		}
		f.seen[s] = time.Time{}
	}
}

// Engines lists what the engines of the workers can do, each way once, sorted. It is
// empty while no worker is announced, and when one does not say what it can do:
// then nothing is known.
func (f *Fleet) Engines() []Set {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.silent {
		return nil
	}
	var list []Set
	for s, last := range f.seen {
		if last.IsZero() || f.now().Sub(last) < Kept {
			list = append(list, s)
			continue
		}
		delete(f.seen, s)
	}
	slices.Sort(list)
	return list
}
