package frontend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"imagemill/internal/ability"
	"imagemill/internal/config"
	"imagemill/internal/rungroup"
	"imagemill/internal/serve"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/settings"
	"imagemill/services/imagemaster"
)

// Master is what a frontend asks of an imagemaster.
type Master interface {
	imagemaster.Images
	imagemaster.Care
}

// Deps is what a frontend works with.
type Deps struct {
	Log               *slog.Logger
	Instance, Version string
	Registry          discovery.Registry // announces this instance; may be nil
	Master            Master
	// Engines lists what the engines of the workers can do; it is nil, or gives
	// nothing, where that is not known, and then nothing is refused for it.
	Engines func() []ability.Set
	// Missing names neighbours that are not seen yet, for /readyz; may be nil.
	Missing func() []string
	// Notices says what needs a look, for /readyz; may be nil.
	Notices func() []string
	// Metrics collects the service's metrics; nil makes a registry.
	Metrics *prometheus.Registry
	// Services is what /services shows; may be nil.
	Services func() map[string][]discovery.Instance
	// Settings are the shared ones that win over Config; nil for none.
	Settings *settings.Set
}

// Service is one frontend. Make it with [New].
type Service struct {
	cfg      Config
	deps     Deps
	live     *live
	server   *serve.Server
	internal *serve.Server // nil for none
}

// New checks, reads the presets and assembles; it opens no listener.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Log == nil || deps.Master == nil {
		return nil, errors.New("frontend: Deps needs Log and Master")
	}
	if deps.Metrics == nil {
		deps.Metrics = prometheus.NewRegistry()
	}
	presets, err := loadPresets(cfg.Presets)
	if err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, deps: deps, live: newLive(deps.Settings, cfg, presets)}
	app := serve.App{
		Service: "frontend", Instance: deps.Instance, Version: deps.Version, Log: deps.Log,
		Registry: deps.Registry, Routes: s.Routes, Ready: deps.Missing, Notices: s.notices, Services: deps.Services,
		Effective: config.Effective(cfg), Settings: deps.Settings, Public: true, Protected: cfg.protected(),
		Secrets: keysAsSecrets(cfg.APIKeys),
		Metrics: deps.Metrics,
	}
	if s.server, err = serve.New(cfg.Serve, app); err != nil {
		return nil, err
	}
	if cfg.Internal != "" {
		s.internal, err = newInternal(cfg, app)
	}
	return s, err
}

// notices says, for /readyz, what needs a look.
func (s *Service) notices() []string {
	all := s.live.notices()
	if s.deps.Notices != nil {
		all = append(all, s.deps.Notices()...)
	}
	return all
}

// keysAsSecrets lets each key be weighed at the start.
func keysAsSecrets(keys []string) []serve.Secret {
	out := make([]serve.Secret, len(keys))
	for i, k := range keys {
		out[i] = serve.Secret{Setting: "IMAGEMILL_FRONTEND_API_KEYS", Value: k}
	}
	return out
}

// newInternal makes the second listener, which shows what the public one must
// not: the public server's metrics, so it keeps its own in a registry apart.
func newInternal(cfg Config, app serve.App) (*serve.Server, error) {
	public := app
	app.Service, app.Registry, app.Public, app.Metrics = "frontend-internal", nil, false, nil
	app.Secrets = nil // the public server weighs them
	app.Routes = func(e *echo.Echo) { serve.OperatingRoutes(e, public, cfg.Serve.Pprof) }
	icfg := cfg.Serve
	icfg.Listen = cfg.Internal
	srv, err := serve.New(icfg, app)
	if err != nil {
		return nil, fmt.Errorf("INTERNAL_LISTEN: %w", err)
	}
	return srv, nil
}

// Run serves until ctx is done.
func (s *Service) Run(ctx context.Context) error {
	var g rungroup.Group
	if s.internal != nil {
		g.Add("internal", s.internal.Run)
	}
	g.Add("http", s.server.Run)
	return g.Run(ctx)
}

// URL is where the public side is reached, "" before it listens.
func (s *Service) URL() string { return s.server.URL() }
