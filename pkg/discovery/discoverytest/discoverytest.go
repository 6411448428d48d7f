// Package discoverytest holds the behaviour that every discovery registry owes.
// A registry's own tests call [Run] (or [RunFixed], if nothing can be announced
// there) with a way to start a fresh one; what a registry can be made to suffer
// goes into the [Harness].
//
// The suite waits for what must happen, never for time to pass.
package discoverytest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery"
)

// Harness is one registry under test.
type Harness struct {
	// Open returns a handle of the registry; all handles see the same instances. It
	// may return the same one each time, and cleans up by t.Cleanup.
	Open func(t *testing.T) discovery.Registry
	// Brief returns a handle like Open's whose announcements soon end by themselves
	// when nobody renews them. Those of Open's outlive a machine that stands still for
	// a while, where there is a difference. Nil if it is the same.
	Brief func(t *testing.T) discovery.Registry
	// Within is how long a change may take to be seen; zero is a minute.
	Within time.Duration
	// Forget makes the registry lose all that was announced, as if every holder had
	// been away for too long. Nil if it cannot.
	Forget func(t *testing.T)
	// Outage makes the registry unreachable until the function it returns is
	// called. Nil if it cannot be.
	Outage func(t *testing.T) (restore func())
	// Spoil puts something that is no instance among the service's. Nil if it
	// cannot be done.
	Spoil func(t *testing.T, service string)
}

// Run tests a registry that instances are announced in. It calls start for each
// test, for an empty registry.
func Run(t *testing.T, start func(t *testing.T) Harness) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *rig){
		"an empty set is a set":                          emptySet,
		"announced is visible":                           visible,
		"an instance arrives as it was announced":        faithful,
		"the end of the context withdraws":               withdraws,
		"sets are whole and sorted":                      wholeSets,
		"services are apart":                             servicesApart,
		"no name means all services":                     allServices,
		"sets are the receiver's own":                    ownSets,
		"a slow reader gets the newest set":              slowReader,
		"the channel closes with the context":            closes,
		"an invalid instance is an error at once":        invalid,
		"a context that is done announces nothing":       doneContext,
		"a forgotten instance is announced again":        forgotten,
		"an outage keeps the last set":                   outage,
		"an instance announced in an outage appears":     announcedInOutage,
		"a withdrawal in an outage does not hang":        withdrawnInOutage,
		"what is no instance is skipped":                 spoiled,
		"a watch begun in an outage is silent, then not": watchedInOutage,
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			if h.Within == 0 {
				h.Within = time.Minute
			}
			test(t, &rig{Harness: h, reg: h.Open(t)})
		})
	}
}

// rig is a harness with a first handle open.
type rig struct {
	Harness
	reg discovery.Registry
}

// instance makes one that nobody else has.
func instance(service string, n int) discovery.Instance {
	return discovery.Instance{
		ID:      fmt.Sprintf("%s-%02d", service, n),
		Service: service,
		URL:     fmt.Sprintf("http://127.0.0.1:%d", 10000+n),
		Version: "v1.2.3",
		Started: time.Date(2024, 2, 29, 12, 0, 0, 123456789, time.UTC),
		Tags:    map[string]string{"zone": "a"},
	}
}

// announce waits until the instance is announced. The function it returns ends
// the announcement and waits until Announce has returned.
func (r *rig) announce(t *testing.T, reg discovery.Registry, in discovery.Instance) (end func()) {
	t.Helper()
	announced, end := r.begin(t, reg, in)
	r.await(t, announced, "announced to be called")
	return end
}

// begin starts an announcement without waiting for it.
func (r *rig) begin(t *testing.T, reg discovery.Registry, in discovery.Instance) (announced chan struct{}, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	announced, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		// Closing twice would panic: announced must be called once.
		assert.NoError(t, reg.Announce(ctx, in, func() { close(announced) }))
	}()
	end = func() {
		cancel()
		r.await(t, ended, "Announce to return")
	}
	t.Cleanup(end)
	return announced, end
}

func (r *rig) await(t *testing.T, signal <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-signal:
	case <-time.After(r.Within):
		require.FailNow(t, "gave up waiting", "for %s, after %s", what, r.Within)
	}
}

// watch begins a watch that ends with the test.
func (r *rig) watch(t *testing.T, reg discovery.Registry, service string) <-chan []discovery.Instance {
	ctx, cancel := context.WithCancel(context.Background())
	sets := reg.Watch(ctx, service)
	t.Cleanup(func() {
		cancel()
		r.drain(t, sets)
	})
	return sets
}

// drain waits until the channel is closed.
func (r *rig) drain(t *testing.T, sets <-chan []discovery.Instance) {
	t.Helper()
	deadline := time.After(r.Within)
	for {
		select {
		case _, open := <-sets:
			if !open {
				return
			}
		case <-deadline:
			require.FailNow(t, "the channel is not closed")
		}
	}
}

// next is the next set, whatever it is.
func (r *rig) next(t *testing.T, sets <-chan []discovery.Instance) []discovery.Instance {
	t.Helper()
	select {
	case set, open := <-sets:
		require.True(t, open, "the channel is closed")
		return set
	case <-time.After(r.Within):
		require.FailNow(t, "no set came")
		return nil
	}
}

// see waits for a set of exactly these IDs, in this order.
func (r *rig) see(t *testing.T, sets <-chan []discovery.Instance, want ...string) []discovery.Instance {
	t.Helper()
	deadline := time.After(r.Within)
	last := "none"
	for {
		select {
		case set, open := <-sets:
			require.True(t, open, "the channel is closed")
			got := ids(set)
			if assert.ObjectsAreEqual(append([]string{}, want...), got) {
				return set
			}
			last = fmt.Sprint(got)
		case <-deadline:
			require.FailNow(t, "the set never came", "want %v, last seen %s", want, last)
		}
	}
}

func ids(set []discovery.Instance) []string {
	out := make([]string, len(set))
	for i, in := range set {
		out[i] = in.ID
	}
	return out
}
