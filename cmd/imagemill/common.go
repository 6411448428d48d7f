package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"imagemill/internal/ability"
	"imagemill/internal/events"
	"imagemill/internal/neighbour"
	"imagemill/internal/release"
	"imagemill/internal/rungroup"
	"imagemill/internal/scribe"
	"imagemill/internal/serve"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/gossip"
	"imagemill/pkg/discovery/settings"
)

// common is what every service is set by, and what is made of it.
type common struct {
	LogLevel string `env:"LOG_LEVEL" help:"debug, info, warn or error"`
	Registry registryConfig
	Events   events.NATSConfig

	log      *slog.Logger
	level    *slog.LevelVar // what the log goes by; a shared setting may change it
	instance string
	// member is where all services of one process gossip; nil where they do not, or
	// each is a process of its own.
	member *gossip.Registry
}

func defaultCommon() common {
	return common{
		LogLevel: "info", Registry: defaultRegistry(),
		Events: events.NATSConfig{URL: "nats://127.0.0.1:4222"},
	}
}

// Validate reports every common setting that cannot work.
func (c common) Validate() error { return c.Registry.Validate() }

// open makes the log, on w, and the identity of one service.
func (c *common) open(service string, w io.Writer) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return fmt.Errorf("IMAGEMILL_LOG_LEVEL (--log-level): %q is not debug, info, warn or error", c.LogLevel)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make instance ID: %w", err)
	}
	c.instance, c.level = service+"-"+id.String(), &slog.LevelVar{}
	c.level.Set(level)
	c.log = slog.New(scribe.Handler(w, &slog.HandlerOptions{Level: c.level})).
		With("service", service, "instance", c.instance)
	return nil
}

// neighbours is how a service reaches the services that it leans on.
type neighbours struct {
	registry  discovery.Registry
	run       rungroup.Func // of the registry; nil where it has none
	transport *discovery.Transport
	client    *http.Client
	needs     []string
	watch     *neighbour.Watch
	metrics   *prometheus.Registry
	settings  *settings.Set
	fleet     *ability.Fleet // what workers can do; nil for services that need not know
}

// neighbours makes the registry and a client for the named services.
func (c *common) neighbours(token string, needs ...string) (*neighbours, error) {
	reg, err := c.openRegistry(token)
	if err != nil {
		return nil, err
	}
	metrics := prometheus.NewRegistry()
	watch := neighbour.New(neighbour.Deps{Log: c.log, Version: release.Version(), Metrics: metrics})
	cfg := discovery.TransportConfig{Services: needs, ProbePath: "/healthz"}
	tr := discovery.NewTransport(reg.registry, cfg, discovery.TransportDeps{
		Log: c.log, Observer: watch,
		PerInstance: serve.Recognize(func(discovery.Instance) http.RoundTripper {
			return discovery.InstanceTransport(cfg)
		}),
	})
	return &neighbours{
		registry: reg.registry, run: reg.run, transport: tr, needs: needs, watch: watch, metrics: metrics,
		settings: c.settings(metrics),
		client:   &http.Client{Transport: serve.Outgoing(tr, token)},
	}, nil
}

// followWorkers makes the service know what workers can do, once it runs.
func (n *neighbours) followWorkers() *ability.Fleet {
	n.fleet = ability.NewFleet(n.registry, time.Now)
	return n.fleet
}

// missing names the neighbours that are not seen.
func (n *neighbours) missing() []string {
	var out []string
	for _, name := range n.needs {
		if !n.transport.Ready(name) {
			out = append(out, "no "+name+" is announced")
		}
	}
	return out
}

// bus makes the event bus: NATS where it is set, else one that carries nothing,
// so that all waits are slow polls. The second result runs it.
func (c *common) bus() (events.Bus, rungroup.Func, error) {
	if c.Events.URL == "" || c.Events.URL == "none" {
		return events.NewMemory(), nil, nil
	}
	bus, err := events.Connect(c.Events, c.instance, c.log)
	if err != nil {
		return nil, nil, errors.Join(errors.New("IMAGEMILL_NATS"), err)
	}
	return bus, bus.Run, nil
}

// together runs what a service needs around it: the registry, the neighbours'
// watches and the bus stop after the service itself.
func together(n *neighbours, bus rungroup.Func, name string, run rungroup.Func) rungroup.Func {
	var g rungroup.Group
	if n != nil {
		if n.run != nil {
			g.Add("registry", n.run)
		}
		g.Add("neighbours", n.watch.Run)
		g.Add("discovery", n.transport.Run)
		g.Add("settings", n.followSettings)
		if n.fleet != nil {
			g.Add("workers", n.fleet.Run)
		}
	}
	if bus != nil {
		g.Add("events", bus)
	}
	g.Add(name, run)
	return g.Run
}
