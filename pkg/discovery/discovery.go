package discovery

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// Instance is one running copy of a service.
type Instance struct {
	// ID is unique among all instances that ever ran, for example a UUID.
	ID string `json:"id"`
	// Service is the name others look for: lower-case letters, digits and '-'.
	Service string `json:"service"`
	// URL is where the instance is reached: scheme, host and port, no path.
	URL string `json:"url"`
	// Version is the program version, for people and for mixed-version checks.
	Version string `json:"version,omitempty"`
	// Started is when the process started, by its own clock.
	Started time.Time `json:"started"`
	// Tags are further facts, small ones.
	Tags map[string]string `json:"tags,omitempty"`
}

// ErrInvalidInstance is wrapped by what Announce returns for an instance that
// lacks an ID, a well-formed service name or an absolute http(s) URL.
var ErrInvalidInstance = errors.New("invalid instance")

// Registry is where instances are announced and looked up. All methods are
// safe for concurrent use.
type Registry interface {
	// Announce makes the instance visible to watchers, and keeps it so, through
	// losses of the registry, until ctx is done; then it withdraws the instance
	// and returns nil. It blocks all that time, so callers run it in a goroutine.
	// announced, if not nil, is called once, when the instance is visible for the
	// first time. An invalid instance is an error at once (ErrInvalidInstance);
	// a registry that is away is not, it is tried again.
	Announce(ctx context.Context, in Instance, announced func()) error

	// Watch delivers the current set of a service's instances (all services for
	// ""), sorted by ID, and again on every change, until ctx is done; then the
	// channel is closed. The first set comes as soon as the registry has answered
	// (an empty set is a set). Each set is the receiver's own. Errors of the
	// registry are not delivered: the last set stays valid. A reader that is slow
	// gets only the newest set.
	Watch(ctx context.Context, service string) <-chan []Instance
}

// Sort orders instances by ID, in place, and returns them.
func Sort(set []Instance) []Instance {
	slices.SortFunc(set, func(a, b Instance) int { return strings.Compare(a.ID, b.ID) })
	return set
}
