package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"imagemill/internal/ability"
	"imagemill/internal/config"
	"imagemill/internal/memo"
	"imagemill/internal/rungroup"
	"imagemill/internal/serve"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/settings"
	"imagemill/pkg/pipeline"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/worker/admission"
	"imagemill/services/worker/engine"
)

// Deps is what a worker works with.
type Deps struct {
	Log               *slog.Logger
	Instance, Version string
	Registry          discovery.Registry // announces this instance; may be nil
	Master            master
	Blobs             storage.Store
	Engine            engine.Engine
	// Abilities are those of Engine, from which the memory of a job is estimated.
	Abilities engine.Abilities
	// Engines lists what the engines of all workers can do; nil, or an empty list,
	// where that is not known: then no work is left to others.
	Engines func() []ability.Set
	// Resize changes the number of engines while they run; nil if it is fixed.
	Resize func(engines int)
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

// Service is one worker. Make it with [New].
type Service struct {
	cfg     Config
	deps    Deps
	server  *serve.Server
	load    *load
	live    *live
	scratch scratch
	full    fullness
	// pipelines are those of late tasks.
	pipelines memo.Memo[pipeline.Pipeline]
	// buffers are for the copying of originals.
	buffers sync.Pool
	gate    *admission.Gate
}

// New checks and assembles; it starts nothing.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Log == nil || deps.Master == nil || deps.Blobs == nil || deps.Engine == nil {
		return nil, errors.New("worker: Deps needs Log, Master, Blobs and Engine")
	}
	s := &Service{
		cfg: cfg, deps: deps, load: newLoad(cfg.engines(), cfg.engines()), scratch: scratch{base: cfg.Scratch},
		gate: admission.New(cfg.budget()),
	}
	if s.deps.Metrics == nil {
		s.deps.Metrics = prometheus.NewRegistry()
	}
	s.measure()
	s.buffers.New = func() any { return new([copyBuffer]byte) }
	s.live = newLive(deps.Settings, cfg, s.resized)
	s.resize()
	var err error
	s.server, err = serve.New(cfg.Serve, serve.App{
		Service: "worker", Instance: deps.Instance, Version: deps.Version, Log: deps.Log,
		Registry: deps.Registry, Tags: tags(deps.Abilities), Routes: func(*echo.Echo) {}, Ready: deps.Missing, Notices: deps.Notices, Services: deps.Services,
		Effective: config.Effective(cfg), Settings: deps.Settings, Metrics: s.deps.Metrics,
	})
	return s, err
}

// tags are what is announced of an engine: what it can do, where that is known.
func tags(can engine.Abilities) map[string]string {
	if s := can.Set(); s != 0 {
		return map[string]string{ability.Tag: s.String()}
	}
	return nil
}

// Run works until ctx is done, then finishes what is in hand within the grace
// time, and gives back what it could not finish. The operating endpoints answer
// until the work has ended.
func (s *Service) Run(ctx context.Context) error {
	var g rungroup.Group
	g.Add("http", s.server.Run)
	g.Add("work", s.work)
	return g.Run(ctx)
}

// work pulls tasks and starts each in a goroutine of its own.
func (s *Service) work(ctx context.Context) error {
	// Work in hand outlives the stop: its context ends with the grace time.
	hand, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	var wg sync.WaitGroup
	wg.Go(func() { s.scratch.sweep(s.deps.Log) })
	s.pull(ctx, func(w imagemaster.Work) {
		wg.Go(func() {
			defer s.load.done()
			s.carryOut(hand, w)
		})
	})
	grace := time.AfterFunc(s.cfg.Serve.Grace, giveUp)
	defer grace.Stop()
	wg.Wait()
	if err := s.scratch.close(); err != nil {
		s.deps.Log.Warn("remove scratch folders", "error", err)
	}
	return nil
}
