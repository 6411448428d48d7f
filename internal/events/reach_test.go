package events_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
)

// journal is a log that several goroutines write to.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) count(s string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.buf.String(), s)
}

func (j *journal) waitFor(t *testing.T, what string, times int) {
	t.Helper()
	require.Eventually(t, func() bool { return j.count(what) == times }, time.Minute, time.Millisecond, "%s: %s", what, &j.buf)
}

// withToken is a server on a port, for whoever has the token.
func withToken(t *testing.T, port int, token string) *server.Server {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true, Authorization: token})
	require.NoError(t, err)
	srv.Start()
	require.True(t, srv.ReadyForConnections(time.Minute))
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	return srv
}

func portOf(t *testing.T, srv *server.Server) (port int) {
	t.Helper()
	_, err := fmt.Sscanf(srv.Addr().String(), "127.0.0.1:%d", &port)
	require.NoError(t, err)
	return port
}

// listening is a bus in Run, and its log.
func listening(t *testing.T, cfg events.NATSConfig) (*events.NATS, *journal) {
	t.Helper()
	log := &journal{}
	cfg.Patience = 50 * time.Millisecond
	bus, err := events.Connect(cfg, t.Name(), slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- bus.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	return bus, log
}

func TestMissingServersAreSaidOnceAndSoIsTheirReturn(t *testing.T) {
	srv := withToken(t, freePort(t), "")
	port := portOf(t, srv)
	srv.Shutdown()
	srv.WaitForShutdown()
	url := fmt.Sprintf("nats://s3cret@127.0.0.1:%d", port)
	bus, log := listening(t, events.NATSConfig{URL: url})
	for _, part := range []string{fmt.Sprintf("NATS at nats://127.0.0.1:%d cannot be reached", port), "slow polls of 1 s", "IMAGEMILL_NATS", "none"} {
		log.waitFor(t, part, 1)
	}
	require.Zero(t, log.count("s3cret"))
	require.Zero(t, log.count("is back"))

	for round := 1; round <= 2; round++ {
		srv = withToken(t, port, "")
		log.waitFor(t, "NATS is back", round)
		require.True(t, bus.Connected())
		srv.Shutdown()
		srv.WaitForShutdown()
		log.waitFor(t, "cannot be reached", round+1)
	}
}

func TestARefusedTokenIsToldApart(t *testing.T) {
	srv := withToken(t, freePort(t), "right")
	port := portOf(t, srv)
	bus, log := listening(t, events.NATSConfig{URL: srv.ClientURL(), Token: "wrong"})
	log.waitFor(t, "refused the token", 1)
	require.Equal(t, 1, log.count("IMAGEMILL_NATS_TOKEN"))
	require.Zero(t, log.count("cannot be reached"))
	require.False(t, bus.Connected())

	// The server is given the right token much later: it is still tried.
	srv.Shutdown()
	srv.WaitForShutdown()
	withToken(t, port, "wrong")
	log.waitFor(t, "NATS is back", 1)
	require.Equal(t, 1, log.count("refused the token"))
}

func TestServersThatAreThereAreNotSpokenOf(t *testing.T) {
	srv := withToken(t, freePort(t), "right")
	log := &journal{}
	cfg := events.NATSConfig{URL: srv.ClientURL(), Token: "right", Patience: 50 * time.Millisecond}
	bus, err := events.Connect(cfg, t.Name(), slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	// To connect may take a busy machine longer than that patience, which begins with Run.
	require.Eventually(t, bus.Connected, time.Minute, time.Millisecond)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- bus.Run(ctx) }()
	defer func() { cancel(); require.NoError(t, <-done) }()
	timer := time.NewTimer(200 * time.Millisecond) // a negative has to be waited for
	<-timer.C
	require.Zero(t, log.count("NATS"))
}
