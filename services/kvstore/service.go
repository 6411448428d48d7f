package kvstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"imagemill/internal/config"
	"imagemill/internal/rungroup"
	"imagemill/internal/serve"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/settings"
)

// Deps is what a Service works with.
type Deps struct {
	Log *slog.Logger
	// Version is shown on /v1/agent/self and in the registry.
	Version string
	// Instance is this process's ID; empty makes one.
	Instance string
	// Registry is where the node announces itself; nil announces nothing.
	Registry discovery.Registry
	// Listener is an open listener to serve on; nil opens Config.HTTP.Listen.
	Listener net.Listener
	// Metrics collects the service's metrics; nil makes a registry.
	Metrics *prometheus.Registry
	// Settings are the shared ones, as /config shows them; nil for none.
	Settings *settings.Set
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Service is one kvstore node with its HTTP API. Make it with [New].
type Service struct {
	cfg    Config
	deps   Deps
	log    *slog.Logger
	node   *node
	server *serve.Server
	gzip   compressors
	// draining gives the channel that ends a request's long poll.
	draining func(context.Context) <-chan struct{}
	// parkAfter is how long a query waits before it is parked.
	parkAfter time.Duration
}

// New checks the configuration and assembles the service. It opens nothing.
func New(cfg Config, deps Deps) (*Service, error) {
	if deps.Log == nil {
		return nil, errors.New("kvstore: Deps.Log is missing")
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("kvstore: %w", err)
	}
	if deps.Instance == "" {
		deps.Instance = uuid.NewString()
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	s := &Service{
		cfg: cfg, deps: deps, log: deps.Log,
		node: newNode(cfg, deps.Log, deps.Now), draining: serve.Draining, parkAfter: parkAfter,
	}
	s.node.version = deps.Version
	var err error
	s.server, err = serve.New(cfg.HTTP, serve.App{
		Service: "kvstore", Instance: deps.Instance, Version: deps.Version, Log: deps.Log,
		Registry: deps.Registry, Routes: s.Routes, Ready: s.missing, Effective: config.Effective(cfg), Settings: deps.Settings,
		Listener: deps.Listener, PlainErrors: true, Metrics: deps.Metrics,
		Secrets: []serve.Secret{{Setting: setting("GOSSIP_KEY"), Value: cfg.Cluster.GossipKey}},
	})
	if err != nil {
		return nil, fmt.Errorf("kvstore: %w", err)
	}
	if s.node.cluster != nil {
		s.node.cluster.apiURL = s.server.URL
	}
	return s, nil
}

// URL is where the API is served, "" before Run listens.
func (s *Service) URL() string { return s.server.URL() }

// Run takes part in the cluster and serves until ctx is done; then it drains
// the HTTP side first, for writes in hand need the log, and closes the stores
// last. It returns nil after an orderly stop.
func (s *Service) Run(ctx context.Context) error {
	var g rungroup.Group
	g.Add("raft", s.node.run)
	g.Add("http", s.server.Run)
	if s.node.cluster != nil {
		g.Add("hand over", s.node.handOver)
	}
	return g.Run(ctx)
}

// missing names what the node lacks to be ready.
func (s *Service) missing() []string {
	var out []string
	if !s.node.lead.isOpen() && !s.following() {
		out = append(out, "raft leader")
	}
	if s.node.space != nil {
		out = append(out, s.node.space.Missing()...)
	}
	return out
}
