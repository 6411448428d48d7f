package mem_test

import (
	"context"
	"fmt"
	"testing"

	"imagemill/internal/leaktest"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/discoverytest"
	"imagemill/pkg/discovery/mem"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestRegistry(t *testing.T) {
	discoverytest.Run(t, func(*testing.T) discoverytest.Harness {
		reg := mem.New()
		return discoverytest.Harness{Open: func(*testing.T) discovery.Registry { return reg }}
	})
}

func TestSettings(t *testing.T) {
	discoverytest.RunSettings(t, func(*testing.T) discoverytest.SettingsHarness {
		reg := mem.New()
		return discoverytest.SettingsHarness{Open: func(*testing.T) discovery.SettingsStore { return reg }}
	})
}

func Example() {
	reg := mem.New()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()

	up := make(chan struct{})
	go func() {
		_ = reg.Announce(ctx, discovery.Instance{
			ID: "storage-a", Service: "storage", URL: "http://127.0.0.1:8301",
		}, func() { close(up) })
	}()
	<-up

	for _, in := range <-reg.Watch(ctx, "storage") {
		fmt.Println(in.ID, in.URL)
	}
	// Output: storage-a http://127.0.0.1:8301
}
