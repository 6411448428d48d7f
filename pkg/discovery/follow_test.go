package discovery_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/mem"
)

// scripted is a registry whose sets are given by the test.
type scripted chan []discovery.Instance

func (s scripted) Announce(context.Context, discovery.Instance, func()) error { return nil }

func (s scripted) Watch(context.Context, string) <-chan []discovery.Instance { return s }

// diary writes down what it is told.
type diary struct{ lines []string }

func (d *diary) Join(in discovery.Instance) { d.lines = append(d.lines, "join "+in.ID+" "+in.URL) }

func (d *diary) Leave(in discovery.Instance) { d.lines = append(d.lines, "leave "+in.ID+" "+in.URL) }

func at(id, url string) discovery.Instance {
	return discovery.Instance{ID: id, Service: "store", URL: url}
}

func TestFollowTurnsSetsIntoCalls(t *testing.T) {
	sets := make(scripted, 5)
	sets <- []discovery.Instance{at("a", "http://h:1"), at("b", "http://h:2")}
	sets <- []discovery.Instance{at("a", "http://h:1"), at("b", "http://h:2")}
	sets <- []discovery.Instance{at("b", "http://h:3"), at("c", "http://h:4")}
	sets <- nil
	close(sets)
	var d diary
	discovery.Follow(t.Context(), sets, "store", &d)
	assert.Equal(t, []string{"join a http://h:1", "join b http://h:2"}, d.lines[:2])
	assert.ElementsMatch(t, []string{"leave a http://h:1", "leave b http://h:2"}, d.lines[2:4])
	assert.Equal(t, []string{"join b http://h:3", "join c http://h:4"}, d.lines[4:6])
	assert.ElementsMatch(t, []string{"leave b http://h:3", "leave c http://h:4"}, d.lines[6:])
}

type printer struct{ left func() }

func (p printer) Join(in discovery.Instance) { fmt.Println("hello", in.ID); p.left() }

func (p printer) Leave(in discovery.Instance) { fmt.Println("goodbye", in.ID) }

func ExampleFollow() {
	reg := mem.New()
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_ = reg.Announce(ctx, discovery.Instance{ID: "a", Service: "store", URL: "http://h:1"}, nil)
	}()
	discovery.Follow(ctx, reg, "store", printer{left: stop})
	// Output: hello a
}
