package events

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// subject is where all task events go; readers filter by kind.
const subject = "imagemill.task"

// NATSConfig says where the NATS servers are.
type NATSConfig struct {
	URL   string `env:"NATS" global:"true" help:"NATS servers for wake-ups, comma-separated; none: all waits become slow polls"`
	Token string `env:"NATS_TOKEN" global:"true" secret:"true" help:"token for the NATS servers; empty: none"`
}

// NATS is a bus over core NATS: at most once, nothing stored. While the servers
// are away it drops what is published and goes on connecting.
type NATS struct {
	conn *nats.Conn
	log  *slog.Logger
	Memory
}

// Connect makes a bus for the process called name. It connects in the
// background, from the first moment and for ever after: servers that are away
// are no error. It fails only for a malformed URL. Run ends the connection.
func Connect(cfg NATSConfig, name string, log *slog.Logger) (*NATS, error) {
	n := &NATS{log: log, Memory: Memory{subs: map[int]func(Event){}}}
	opts := []nats.Option{
		nats.Name(name), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.ReconnectBufSize(-1), nats.Timeout(2 * time.Second), nats.NoEcho(),
		nats.DisconnectErrHandler(func(c *nats.Conn, err error) {
			if !c.IsClosed() { // by Run, at the end
				log.Warn("NATS is away; waits become slow polls", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("NATS is back") }),
	}
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

// Run waits for ctx and closes the connection.
func (n *NATS) Run(ctx context.Context) error {
	<-ctx.Done()
	n.conn.Close()
	return nil
}

// Publish tells the subscribers of this process directly, and all others by
// NATS, where it is there.
func (n *NATS) Publish(e Event) {
	n.Memory.Publish(e)
	data, err := json.Marshal(e)
	if err != nil {
		n.log.Error("encode event", "error", err)
		return
	}
	if err := n.conn.Publish(subject, data); err != nil {
		n.log.Debug("event not published", "error", err)
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
