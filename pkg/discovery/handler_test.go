package discovery_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/mem"
)

// ring is a MembershipHandler: it needs no lock for its own calls, as Follow makes
// all of them from one goroutine.
type ring struct {
	nodes []string
	full  func()
}

func (r *ring) Join(in discovery.Instance) {
	r.nodes = append(r.nodes, in.URL)
	if len(r.nodes) == 2 {
		r.full()
	}
}

func (r *ring) Leave(in discovery.Instance) {
	r.nodes = slices.DeleteFunc(r.nodes, func(url string) bool { return url == in.URL })
}

// A hash ring that knows the instances of a service at any time.
func ExampleMembershipHandler() {
	reg := mem.New()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var instances sync.WaitGroup
	for _, name := range []string{"a", "b"} {
		in := discovery.Instance{ID: "store-" + name, Service: "store", URL: "http://" + name + ":8301"}
		instances.Go(func() { _ = reg.Announce(ctx, in, nil) })
	}
	r := &ring{full: stop}
	discovery.Follow(ctx, reg, "store", r) // until both are there
	instances.Wait()
	slices.Sort(r.nodes)
	fmt.Println(strings.Join(r.nodes, " "))
	// Output: http://a:8301 http://b:8301
}
