package storage

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"imagemill/internal/config"
	"imagemill/internal/serve"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/settings"
)

// Deps is what a storage service works with.
type Deps struct {
	Log               *slog.Logger
	Instance, Version string
	Registry          discovery.Registry // announces this instance; may be nil
	Store             Store
	// Missing says what keeps the store from taking blobs, for /readyz; may be nil.
	Missing func() []string
	// Notices says what needs a look but refuses nothing, for /readyz; may be nil.
	Notices func() []string
	// Routes adds those of nodes that copy each other's blobs; may be nil.
	Routes func(e *echo.Echo)
	// Tags are what the announcement of this instance says beside its address.
	Tags map[string]string
	// Metrics collects the store's own; may be nil.
	Metrics *prometheus.Registry
	// Services is what /services shows; may be nil.
	Services func() map[string][]discovery.Instance
	// Settings are the shared ones, as /config shows them; nil for none.
	Settings *settings.Set
	// Listener replaces Config.Serve.Listen where it is already open; may be nil.
	Listener net.Listener
}

// Service is one storage node: a Store behind HTTP. Make it with [New].
type Service struct {
	cfg    Config
	log    *slog.Logger
	store  Store
	more   func(e *echo.Echo)
	sender Sender
	server *serve.Server
}

// New checks and assembles; it opens nothing.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Log == nil || deps.Store == nil {
		return nil, errors.New("storage: Deps needs Log and Store")
	}
	s := &Service{cfg: cfg, log: deps.Log, store: deps.Store, more: deps.Routes}
	var err error
	s.server, err = serve.New(cfg.Serve, serve.App{
		Service: "storage", Instance: deps.Instance, Version: deps.Version, Log: deps.Log,
		Registry: deps.Registry, Routes: s.Routes, Ready: deps.Missing, Notices: deps.Notices, Tags: deps.Tags, Metrics: deps.Metrics, Services: deps.Services,
		Effective: config.Effective(cfg), Settings: deps.Settings, Listener: deps.Listener,
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Run serves until ctx is done, and lets what is in hand end.
func (s *Service) Run(ctx context.Context) error { return s.server.Run(ctx) }

// Handler is the whole handler, for tests that bring their own listener.
func (s *Service) Handler() http.Handler { return s.server.Handler() }
