package gossip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"imagemill/pkg/discovery"
)

// Registry is one member of the cluster. Make one with New and run it with Run;
// until it runs, announcements and watches wait.
type Registry struct {
	cfg  Config
	key  []byte
	log  *slog.Logger
	rare *seldom

	book     *book
	hub      *hub
	settings *store

	// reach is nil but in tests, which part networks by it.
	reach func(from, to string) bool

	mu      sync.Mutex
	agent   *agent        // nil while there is none
	changed chan struct{} // closed when agent changes
}

var (
	_ discovery.Registry      = (*Registry)(nil)
	_ discovery.SettingsStore = (*Registry)(nil)
)

// New checks the config and assembles a Registry; it opens nothing. The error
// names each wrong field.
func New(cfg Config, deps Deps) (*Registry, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("gossip registry: %w", err)
	}
	r := &Registry{cfg: cfg.withDefaults(), log: deps.Log, changed: make(chan struct{})}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	key, err := decodeKey(cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("gossip registry: key: %w", err)
	}
	r.key, r.rare = key, newSeldom(r.log)
	r.book = newBook()
	r.hub = &hub{watchers: map[chan []discovery.Instance]*watcher{}}
	r.settings = newStore(r.cfg.Dir, r.log)
	return r, nil
}

// Run is a member of the cluster until ctx is done; then it leaves and returns
// nil. It fails at once if it cannot listen, or cannot read or write its folder.
// If another member has its name it becomes a member under a new one. It must
// run for as long as anything is announced, so callers stop it last.
func (r *Registry) Run(ctx context.Context) error {
	if err := r.settings.load(); err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	name, err := r.loadName()
	if err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	join := r.cfg.Join
	for ctx.Err() == nil {
		a, err := r.start(ctx, name, join)
		if err != nil {
			return fmt.Errorf("gossip: %w", err)
		}
		r.become(a)
		lost := a.run(ctx)
		r.become(nil)
		if !lost {
			return nil
		}
		old := name
		if name, err = r.renew(); err != nil {
			return fmt.Errorf("gossip: %w", err)
		}
		r.log.Warn("another member has this one's name, going on under a new one", "name", old, "new", name)
		join = append(join[:len(r.cfg.Join):len(r.cfg.Join)], a.known...)
	}
	return nil
}

// become says who is the member now.
func (r *Registry) become(a *agent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.agent = a
	close(r.changed)
	r.changed = make(chan struct{})
}

// current is the member as it runs, nil if none does, and what tells when that
// changes.
func (r *Registry) current() (*agent, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.agent, r.changed
}

// running waits for the member to run.
func (r *Registry) running(ctx context.Context) (*agent, error) {
	for {
		a, changed := r.current()
		if a != nil {
			return a, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, errors.Join(errors.New("this member does not run"), ctx.Err())
		}
	}
}

// Watch delivers the service's set and its changes. The first comes when other
// members are known, or nobody answers at the join addresses.
func (r *Registry) Watch(ctx context.Context, service string) <-chan []discovery.Instance {
	return r.hub.watch(ctx, service)
}
