package imagemaster

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"imagemill/internal/config"
	"imagemill/internal/events"
	"imagemill/internal/memo"
	"imagemill/internal/rungroup"
	"imagemill/internal/serve"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/settings"
	"imagemill/pkg/pipeline"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// Deps is what an imagemaster works with.
type Deps struct {
	Log               *slog.Logger
	Instance, Version string
	Registry          discovery.Registry // announces this instance; may be nil
	Tasks             taskdb.Store
	// Records takes what Tasks would be told by Create and Finish; nil for Tasks.
	Records taskdb.Recorder
	Blobs   storage.Store
	Events  events.Bus
	// Now is the clock by which the sweeper waits; nil for time.Now.
	Now func() time.Time
	// Missing names neighbours that are not seen yet, for /readyz; may be nil.
	Missing func() []string
	// Notices says what needs a look, for /readyz; may be nil.
	Notices func() []string
	// Metrics collects the service's metrics; nil makes a registry.
	Metrics *prometheus.Registry
	// Services is what /services shows; may be nil.
	Services func() map[string][]discovery.Instance
	// Settings are the shared ones, as /config shows them; nil for none.
	Settings *settings.Set
}

// Service is one imagemaster. Make it with [New].
type Service struct {
	cfg    Config
	deps   Deps
	wakes  *wakes
	trust  trust
	server *serve.Server
	// backlog bounds what waits to be worked.
	backlog *backlog
	// pipelines are those found to be valid of late.
	pipelines memo.Memo[pipeline.Pipeline]
	recent    recent
	dedupe    *deduper

	sweeping sync.Mutex           // one sweep at a time
	suspects map[string]time.Time // blobs without a task, and since when they are seen so
}

// New checks and assembles; it opens nothing.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Log == nil || deps.Tasks == nil || deps.Blobs == nil || deps.Events == nil {
		return nil, errors.New("imagemaster: Deps needs Log, Tasks, Blobs and Events")
	}
	if deps.Records == nil {
		deps.Records = taskdb.RecorderOf(deps.Tasks)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	s := &Service{cfg: cfg, deps: deps, wakes: newWakes(), trust: trust{bus: deps.Events}, suspects: map[string]time.Time{}}
	s.dedupe = newDeduper(deps)
	if deps.Metrics != nil {
		deps.Metrics.MustRegister(s.dedupe.count)
	}
	s.backlog = &backlog{most: cfg.MaxWaiting, ask: deps.Tasks.Stats, now: deps.Now}
	var err error
	s.server, err = serve.New(cfg.Serve, serve.App{
		Service: "imagemaster", Instance: deps.Instance, Version: deps.Version, Log: deps.Log,
		Registry: deps.Registry, Routes: s.Routes, Ready: deps.Missing, Notices: deps.Notices, Services: deps.Services,
		Effective: config.Effective(cfg), Settings: deps.Settings, Metrics: deps.Metrics,
	})
	return s, err
}

// Run serves until ctx is done. Who cleans up stops after the server, since that
// work is safe to break off anywhere.
func (s *Service) Run(ctx context.Context) error {
	cancel := s.deps.Events.Subscribe(s.wakes.event)
	defer cancel()
	var g rungroup.Group
	g.Add("purger", s.purge)
	g.Add("sweeper", s.sweep)
	g.Add("leases", s.endLeases)
	g.Add("poll", s.poll)
	g.Add("http", s.server.Run)
	return g.Run(ctx)
}

// URL is where the master is reached, "" before it listens.
func (s *Service) URL() string { return s.server.URL() }

// Handler is the whole handler, for tests that bring their own listener.
func (s *Service) Handler() *echo.Echo {
	e, _ := s.server.Handler().(*echo.Echo)
	return e
}
