package events

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// subject is where all task events go; readers filter by kind.
const subject = "imagemill.task"

// NATSConfig says where the NATS servers are.
type NATSConfig struct {
	URL   string `env:"NATS" global:"true" help:"NATS servers for wake-ups, comma-separated; none: all waits become slow polls"`
	Token string `env:"NATS_TOKEN" global:"true" secret:"true" help:"token for the NATS servers; empty: none"`

	// Patience is how long servers may stay away before that is logged; 0: 3 s.
	Patience time.Duration
}

// NATS is a bus over core NATS: at most once, nothing stored. While the servers
// are away it drops what is published and goes on connecting.
type NATS struct {
	conn  *nats.Conn
	log   *slog.Logger
	reach *reach
	out   chan []byte // encoded events on their way to the connection
	Memory
}

// queued is how many events may be on their way. One more is dropped, as all are
// while the servers are away.
const queued = 4096

// Connect makes a bus for the process called name. It connects in the
// background, from the first moment and for ever after: servers that are away
// are no error; Run says once that they are, and why. It fails only for a malformed
// URL. Run ends the connection.
func Connect(cfg NATSConfig, name string, log *slog.Logger) (*NATS, error) {
	n := &NATS{log: log, reach: newReach(cfg, log), out: make(chan []byte, queued), Memory: Memory{subs: map[int]func(Event){}}}
	opts := append(n.reach.options(),
		// A token that is refused may be accepted once the server has been set right.
		nats.Name(name), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(250*time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.ReconnectBufSize(-1), nats.Timeout(2*time.Second), nats.NoEcho(),
		// The client's own way would be standard error; reach tells what matters.
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Debug("NATS", "error", err) }),
	)
	if cfg.Token != "" {
		opts = append(opts, nats.Token(cfg.Token))
	}
	conn, err := nats.Connect(cfg.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("NATS: connect to %q: %w", cfg.URL, err)
	}
	n.conn = conn
	if _, err := conn.Subscribe(subject, n.received); err != nil {
		conn.Close()
		return nil, fmt.Errorf("NATS: subscribe: %w", err)
	}
	return n, nil
}

// Run sends what is published, and says when the servers are away and back,
// until ctx is done; then it closes the connection.
func (n *NATS) Run(ctx context.Context) error {
	var sender sync.WaitGroup
	sender.Go(func() { n.send(ctx) })
	n.reach.watch(ctx, n.conn.IsConnected)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		n.conn.Close()
		sender.Wait()
	}()
	select {
	case <-closed:
	case <-time.After(closeTime): // a look for the server is under way, and cannot be broken off
	}
	return nil
}

// closeTime is how long a stop waits for the connection to close.
const closeTime = time.Second

// send hands events to the connection, which may take seconds over each while it
// looks for a server whose name nobody knows any more.
func (n *NATS) send(ctx context.Context) {
	for {
		select {
		case data := <-n.out:
			if err := n.conn.Publish(subject, data); err != nil {
				n.log.Debug("event not published", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// Publish tells the subscribers of this process directly, and all others by
// NATS, where it is there. It does not wait for the connection.
func (n *NATS) Publish(e Event) {
	n.Memory.Publish(e)
	data, err := json.Marshal(e)
	if err != nil {
		n.log.Error("encode event", "error", err)
		return
	}
	select {
	case n.out <- data:
	default:
		n.log.Debug("event not published", "error", "too many are waiting")
	}
}

// Connected reports whether a server is there now.
func (n *NATS) Connected() bool { return n.conn.IsConnected() }

func (n *NATS) received(m *nats.Msg) {
	var e Event
	if err := json.Unmarshal(m.Data, &e); err != nil {
		n.log.Debug("event not understood", "error", err)
		return
	}
	n.Memory.Publish(e)
}
