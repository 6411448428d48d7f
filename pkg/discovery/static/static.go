// Package static is a discovery registry whose addresses are written down
// beforehand: for a suite behind fixed names or load balancers, and for tests.
//
// Its sets never change. Announcing is accepted, so that a service runs
// unaltered, but makes nothing visible: whoever wrote the addresses down has
// done that already. It does not check that anything answers there.
package static

import (
	"context"
	"fmt"
	"slices"

	"imagemill/pkg/discovery"
)

// Registry is a fixed list of instances. Make one with New.
type Registry struct {
	set      []discovery.Instance
	settings discovery.Document
}

var _ discovery.Registry = (*Registry)(nil)

// New takes the URLs (scheme, host, port) of each service. The instance IDs are
// made of service and place in the list ("storage-0", "storage-1"). A malformed
// name or URL, or a URL that stands twice in one service, is an error that names it.
func New(services map[string][]string) (*Registry, error) {
	r := &Registry{}
	for service, urls := range services {
		for i, url := range urls {
			if slices.Contains(urls[:i], url) {
				return nil, fmt.Errorf("static registry: service %q: %s stands there twice", service, url)
			}
			in := discovery.Instance{ID: fmt.Sprintf("%s-%d", service, i), Service: service, URL: url}
			if err := in.Validate(); err != nil {
				return nil, fmt.Errorf("static registry: %w", err)
			}
			r.set = append(r.set, in)
		}
	}
	discovery.Sort(r.set)
	return r, nil
}

// Announce checks the instance, calls announced and blocks until ctx is done.
// Nobody sees the instance, unless its address is among the fixed ones.
func (r *Registry) Announce(ctx context.Context, in discovery.Instance, announced func()) error {
	if err := in.Validate(); err != nil {
		return err
	}
	if announced != nil {
		announced()
	}
	<-ctx.Done()
	return nil
}

// Watch delivers the fixed set of the service (all for ""), once; the channel is
// closed when ctx is done.
func (r *Registry) Watch(ctx context.Context, service string) <-chan []discovery.Instance {
	ch := make(chan []discovery.Instance, 1)
	set := []discovery.Instance{}
	for _, in := range r.set {
		if service == "" || service == in.Service {
			set = append(set, in.Clone())
		}
	}
	discovery.Offer(ch, set)
	context.AfterFunc(ctx, func() { close(ch) })
	return ch
}
