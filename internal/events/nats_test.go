package events_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
)

// What others send is not trusted to be an event.
func TestAMessageThatIsNoEventIsPassedOver(t *testing.T) {
	srv := startNATS(t, 0)
	bus := connect(t, srv.ClientURL())
	heard := make(chan events.Event, 1000)
	defer bus.Subscribe(func(e events.Event) { heard <- e })()
	conn, err := nats.Connect(srv.ClientURL())
	require.NoError(t, err)
	defer conn.Close()
	// Messages of one connection come in order: what was wrong came first.
	require.Eventually(t, func() bool {
		for _, m := range []string{"", "{", `"queued"`, `{"kind":7}`, `{"kind":"ended","taskId":"right","later":"field"}`} {
			require.NoError(t, conn.Publish("imagemill.task", []byte(m)))
		}
		require.NoError(t, conn.Flush())
		return len(heard) > 0
	}, time.Minute, 10*time.Millisecond)
	require.Equal(t, "right", (<-heard).TaskID)
	for len(heard) > 0 {
		require.Equal(t, "right", (<-heard).TaskID)
	}
}

func TestAServerThatWantsAToken(t *testing.T) {
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, Authorization: "right",
	})
	require.NoError(t, err)
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	require.True(t, srv.ReadyForConnections(time.Minute))
	for _, token := range []string{"right", "wrong", ""} {
		log := &journal{}
		bus, err := events.Connect(events.NATSConfig{URL: srv.ClientURL(), Token: token}, "x", slog.New(slog.NewTextHandler(log, nil)))
		require.NoError(t, err, "a server that refuses is one that is away")
		if token == "right" {
			require.Eventually(t, bus.Connected, time.Minute, time.Millisecond)
		}
		require.Equal(t, token == "right", bus.Connected())
		heard := 0
		bus.Subscribe(func(events.Event) { heard++ })
		bus.Publish(events.Event{Kind: events.Queued, TaskID: "t"})
		require.Equal(t, 1, heard, "one's own subscribers hear it in any case")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, bus.Run(ctx))
		bus.Publish(events.Event{Kind: events.Queued, TaskID: "t"})
		require.Equal(t, 2, heard, "also when the connection is closed")
		require.Zero(t, log.count("right"))
	}
}

// A connection that takes its time, as one does whose server's name cannot be
// looked up, holds up nobody who publishes.
func TestPublishingNeverWaits(t *testing.T) {
	srv := startNATS(t, 0)
	bus, err := events.Connect(events.NATSConfig{URL: srv.ClientURL()}, "x", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	heard := 0
	bus.Subscribe(func(events.Event) { heard++ })
	// Run, which hands events to the connection, has not been called at all.
	for range 10_000 {
		bus.Publish(events.Event{Kind: events.Queued, TaskID: "t"})
	}
	require.Equal(t, 10_000, heard)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, bus.Run(ctx))
}
