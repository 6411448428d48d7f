package gossip_test

import (
	"context"
	"fmt"
	"time"

	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/gossip"
)

// A process becomes a member, announces what it serves, and watches the others.
func Example() {
	reg, err := gossip.New(gossip.Config{Join: nil}, gossip.Deps{}) // the first member joins nobody
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- reg.Run(ctx) }()

	announced, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		_ = reg.Announce(ctx, discovery.Instance{
			ID: "greeter-1", Service: "greeter", URL: "http://127.0.0.1:8080", Started: time.Now(),
		}, func() { close(announced) })
	}()
	<-announced
	for set := range reg.Watch(ctx, "greeter") {
		if len(set) > 0 {
			fmt.Println(set[0].ID, set[0].URL)
			break
		}
	}
	cancel()
	<-stopped
	fmt.Println(<-ended)
	// Output:
	// greeter-1 http://127.0.0.1:8080
	// <nil>
}
