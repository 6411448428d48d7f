package events

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// defaultPatience is how long servers may stay away before it is said.
const defaultPatience = 3 * time.Second

// reach says once that the servers cannot be reached, and why, and once that
// they are back. Servers that start a moment later than the service are silent.
type reach struct {
	url      string
	patience time.Duration
	log      *slog.Logger

	mu   sync.Mutex
	last error // of the last attempt to connect
	told bool
	gone chan struct{} // has one element after a connection was lost
}

func newReach(cfg NATSConfig, log *slog.Logger) *reach {
	r := &reach{url: withoutSecrets(cfg.URL), patience: cfg.Patience, log: log, gone: make(chan struct{}, 1)}
	if r.patience <= 0 {
		r.patience = defaultPatience
	}
	r.gone <- struct{}{} // it begins without a connection
	return r
}

// withoutSecrets leaves out what nats://token@host:port carries.
func withoutSecrets(servers string) string {
	all := strings.Split(servers, ",")
	for i, s := range all {
		u, err := url.Parse(strings.TrimSpace(s))
		if err != nil {
			all[i] = "(malformed)"
		} else if u.User != nil {
			u.User = nil
			all[i] = u.String()
		}
	}
	return strings.Join(all, ",")
}

// options tells the connection to tell us.
func (r *reach) options() []nats.Option {
	back := func(*nats.Conn) { r.back() }
	return []nats.Option{
		nats.ConnectHandler(back), nats.ReconnectHandler(back),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { r.failed(err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			r.failed(err)
			select {
			case r.gone <- struct{}{}:
			default:
			}
		}),
	}
}

func (r *reach) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.last = err
	}
}

func (r *reach) back() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told {
		r.log.Info("NATS is back; waits are woken at once again", "url", r.url)
	}
	r.told, r.last = false, nil
}

// watch complains of each loss that lasts, until ctx is done.
func (r *reach) watch(ctx context.Context, connected func() bool) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.gone:
		}
		t := time.NewTimer(r.patience)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		if !connected() {
			r.complain()
		}
	}
}

func (r *reach) complain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told {
		return
	}
	r.told = true
	if errors.Is(r.last, nats.ErrAuthorization) || errors.Is(r.last, nats.ErrAuthExpired) {
		r.log.Warn("NATS at "+r.url+" refused the token; waits become slow polls of 1 s; set IMAGEMILL_NATS_TOKEN to what the server was given",
			"error", r.last)
		return
	}
	attrs := []any{}
	if r.last != nil {
		attrs = append(attrs, "error", r.last)
	}
	r.log.Warn("NATS at "+r.url+" cannot be reached; waits become slow polls of 1 s; start it, correct IMAGEMILL_NATS, or set it to none", attrs...)
}
