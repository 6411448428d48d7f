// Package consul is a discovery registry on Consul's KV store and sessions, or on
// anything that speaks the same HTTP API.
//
// An instance is a JSON value at <prefix>/<service>/<instance id>, held by a
// session with a TTL whose end deletes the key. So an instance that is killed is
// gone after its TTL (a real Consul may take up to twice that), and one that
// stops in order is gone at once. A session that was lost, a key that vanished
// and a registry that was away are all answered by announcing again, for as long
// as it takes.
//
// Watches are long polls on the prefix. They start over when the registry's index
// goes backwards or a call failed, deliver nothing while the data are the same,
// and keep their pace under a rate limit. A value that is no instance is skipped
// and logged.
//
// The shared settings are plain values below config/, so that any Consul tool can
// change them; who did is known of those that PutSetting wrote.
//
// The package does not need a Consul agent, health checks or the service catalogue.
// Where there is an agent, [Catalog] shows it the instances too.
//
// With access control a token needs to write keys below the prefix and sessions,
// and services for the catalogue:
//
//	key_prefix "services/" { policy = "write" }
//	key_prefix "config/" { policy = "write" }
//	session_prefix "" { policy = "write" }
//	service_prefix "" { policy = "write" }
package consul

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/hashicorp/consul/api"

	"imagemill/pkg/discovery"
)

// Registry announces and watches instances in one Consul, and keeps the shared
// settings. Make one with New.
type Registry struct {
	cfg   Config
	log   *slog.Logger
	http  *http.Client
	nodes *nodes
	api   *api.Client
}

var (
	_ discovery.Registry      = (*Registry)(nil)
	_ discovery.SettingsStore = (*Registry)(nil)
)

// New checks the config and assembles a Registry; it does not call the registry.
// The error names each wrong field.
func New(cfg Config, deps Deps) (*Registry, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("consul registry: %w", err)
	}
	r := &Registry{cfg: cfg.withDefaults(), log: deps.Log}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if err := r.connect(deps.HTTPClient); err != nil {
		return nil, fmt.Errorf("consul registry: %w", err)
	}
	return r, nil
}

// Close drops idle connections. Call it when all announcements and watches have
// ended; it does not end them.
func (r *Registry) Close() { r.http.CloseIdleConnections() }

// key is where an instance is kept.
func (r *Registry) key(in discovery.Instance) string {
	return r.folder(in.Service) + in.ID
}

// folder is the prefix of a service's keys, with the slash that keeps "store" from
// seeing the instances of "store-2"; of all services for "".
func (r *Registry) folder(service string) string {
	if service == "" {
		return r.cfg.Prefix + "/"
	}
	return r.cfg.Prefix + "/" + service + "/"
}

// backoff counts failures in a row and pauses after each, longer every time.
type backoff struct {
	min, max time.Duration
	failures int
}

func (r *Registry) newBackoff() *backoff {
	return &backoff{min: r.cfg.BackoffMin, max: r.cfg.BackoffMax}
}

func (b *backoff) reset() { b.failures = 0 }

// next is the length of the pause after one more failure.
func (b *backoff) next() time.Duration {
	pause := b.max
	if b.failures < 32 {
		pause = min(b.max, b.min<<b.failures)
	}
	if pause <= 0 {
		pause = b.max
	}
	b.failures++
	return pause - rand.N(pause/2+1)
}

// pause waits for the time or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
