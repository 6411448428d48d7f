package events_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func ExampleMemory() {
	bus := events.NewMemory()
	cancel := bus.Subscribe(func(e events.Event) { fmt.Println(e.Kind, e.TaskID) })
	bus.Publish(events.Event{Kind: events.Queued, TaskID: "a"})
	cancel()
	bus.Publish(events.Event{Kind: events.Ended, TaskID: "a"})
	// Output: queued a
}

// startNATS starts a server, on port when it is not 0, and stops it with the test.
func startNATS(t *testing.T, port int) *server.Server {
	t.Helper()
	if port == 0 {
		port = freePort(t)
	}
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true})
	require.NoError(t, err)
	srv.Start()
	require.True(t, srv.ReadyForConnections(time.Minute))
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	return srv
}

// freePort finds a port below those that systems give to who wants any, so that a
// server that is started again finds it free.
func freePort(t *testing.T) int {
	t.Helper()
	for {
		port := 10000 + rand.IntN(20000)
		ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			require.NoError(t, ln.Close())
			return port
		}
	}
}

func connect(t *testing.T, url string) *events.NATS {
	t.Helper()
	bus, err := events.Connect(events.NATSConfig{URL: url}, t.Name(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- bus.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	return bus
}

// publishUntil publishes until it is heard: a subscription takes a moment, and
// a lost event is no error.
func publishUntil(t *testing.T, p events.Publisher, e events.Event, heard <-chan events.Event) {
	t.Helper()
	require.Eventually(t, func() bool {
		p.Publish(e)
		select {
		case got := <-heard:
			return reflect.DeepEqual(got, e)
		default:
			return false
		}
	}, time.Minute, 10*time.Millisecond)
}

func TestNATSCarriesBetweenProcesses(t *testing.T) {
	srv := startNATS(t, 0)
	a, b := connect(t, srv.ClientURL()), connect(t, srv.ClientURL())
	heard, own := make(chan events.Event, 1000), make(chan events.Event, 1000)
	defer b.Subscribe(func(e events.Event) { heard <- e })()
	defer a.Subscribe(func(e events.Event) { own <- e })()
	publishUntil(t, a, events.Event{Kind: events.Ended, TaskID: "t", State: "finished", Task: []byte(`{"id":"t"}`)}, heard)
	require.NotEmpty(t, own, "the publisher's own subscribers hear it too")
}

func TestNATSAwayBlocksNobodyAndComesBack(t *testing.T) {
	srv := startNATS(t, 0)
	addr := srv.ClientURL()
	_, port := "", srv.Addr().String()
	var n int
	_, err := fmt.Sscanf(port, "127.0.0.1:%d", &n)
	require.NoError(t, err)
	srv.Shutdown()
	srv.WaitForShutdown()

	a, b := connect(t, addr), connect(t, addr)
	require.False(t, a.Connected())
	start := time.Now()
	for range 1000 {
		a.Publish(events.Event{Kind: events.Queued, TaskID: "lost"})
	}
	require.Less(t, time.Since(start), time.Minute, "publishing must not wait for the server")

	startNATS(t, n)
	heard := make(chan events.Event, 10_000)
	defer b.Subscribe(func(e events.Event) { heard <- e })()
	publishUntil(t, a, events.Event{Kind: events.Queued, TaskID: "new"}, heard)
}

func TestMalformedURLIsAnError(t *testing.T) {
	_, err := events.Connect(events.NATSConfig{URL: "nats://%zz"}, "x", slog.New(slog.DiscardHandler))
	require.Error(t, err)
}
