package kvstore_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/hashicorp/consul/api"

	"imagemill/services/kvstore"
)

// A node runs until its context ends; any client of Consul speaks to it.
func Example() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	node, err := kvstore.New(kvstore.MemConfig(), kvstore.Deps{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Listener: ln,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- node.Run(ctx) }()

	transport := api.DefaultConfig().Transport
	client, err := api.NewClient(&api.Config{Address: ln.Addr().String(), Transport: transport})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.KV().Put(&api.KVPair{Key: "config/log", Value: []byte("debug")}, nil)
	fmt.Println("put:", err)
	pair, _, err := client.KV().Get("config/log", nil)
	fmt.Println("get:", string(pair.Value), err)

	transport.CloseIdleConnections()
	stop()
	fmt.Println("stopped:", <-done)
	// Output:
	// put: <nil>
	// get: debug <nil>
	// stopped: <nil>
}
