// Package mem is a discovery registry in memory, for tests and for suites that
// live in one process. What is announced in one [Registry] is seen by all who
// hold it, at once; nothing leaves the process and nothing outlives it.
//
// It keeps every promise of discovery.Registry and of discovery.SettingsStore. It
// does not imitate a registry that is slow or away.
package mem

import (
	"context"
	"sync"

	"imagemill/pkg/discovery"
)

// Registry is the set of what is announced now, and the shared settings. Make one with New and share it.
type Registry struct {
	mu       sync.Mutex
	entries  map[string]*discovery.Instance
	watchers map[chan []discovery.Instance]string

	settings settings
}

var _ discovery.Registry = (*Registry)(nil)

// New returns an empty registry.
func New() *Registry {
	return &Registry{
		entries:  map[string]*discovery.Instance{},
		watchers: map[chan []discovery.Instance]string{},
	}
}

// Announce makes the instance visible until ctx is done. If the same ID is
// announced a second time, the later one is seen, until it ends.
func (r *Registry) Announce(ctx context.Context, in discovery.Instance, announced func()) error {
	if err := in.Validate(); err != nil {
		return err
	}
	entry := in.Clone()
	r.put(&entry)
	defer r.withdraw(&entry)
	if announced != nil {
		announced()
	}
	<-ctx.Done()
	return nil
}

// Watch delivers the service's set at once and on every change.
func (r *Registry) Watch(ctx context.Context, service string) <-chan []discovery.Instance {
	ch := make(chan []discovery.Instance, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers[ch] = service
	discovery.Offer(ch, r.set(service))
	context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, ch)
		close(ch)
	})
	return ch
}

func (r *Registry) put(entry *discovery.Instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.entries[entry.ID]
	r.entries[entry.ID] = entry
	if old != nil && old.Service != entry.Service {
		r.notify(old.Service)
	}
	r.notify(entry.Service)
}

// withdraw takes the entry out, unless a later one has taken its place.
func (r *Registry) withdraw(entry *discovery.Instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entries[entry.ID] != entry {
		return
	}
	delete(r.entries, entry.ID)
	r.notify(entry.Service)
}

// notify gives each watcher of the service a set of its own. The lock is held,
// and Offer does not block, so watchers see changes in order.
func (r *Registry) notify(changed string) {
	for ch, service := range r.watchers {
		if service == "" || service == changed {
			discovery.Offer(ch, r.set(service))
		}
	}
}

func (r *Registry) set(service string) []discovery.Instance {
	set := make([]discovery.Instance, 0, len(r.entries))
	for _, entry := range r.entries {
		if service == "" || service == entry.Service {
			set = append(set, entry.Clone())
		}
	}
	return discovery.Sort(set)
}
