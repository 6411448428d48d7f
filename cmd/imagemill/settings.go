package main

import (
	"context"
	"fmt"
	"log/slog"
	"path"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"imagemill/internal/shared"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/consul"
	"imagemill/pkg/discovery/settings"
	"imagemill/services/kvstore"
)

// settings makes the set of shared settings of one service. The log level belongs
// to every service; the others are registered by those that apply them.
func (c *common) settings(metrics prometheus.Registerer) *settings.Set {
	set := settings.New(settings.Config{Known: shared.Catalogue(), Log: c.log})
	level := c.level
	settings.Use(set, shared.LogLevel(), level.Level(), func(l slog.Level) { level.Set(l) })
	count := func(name, help string, pick func(applied, refused uint64) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 {
			return float64(pick(set.Counts()))
		})
	}
	metrics.MustRegister(
		count("imagemill_settings_applied_total", "Shared settings that were put in place or taken back.",
			func(applied, _ uint64) uint64 { return applied }),
		count("imagemill_settings_refused_total", "Shared settings that were refused for their value.",
			func(_, refused uint64) uint64 { return refused }))
	return set
}

// followSettings applies the shared settings, where the registry has any.
func (n *neighbours) followSettings(ctx context.Context) error {
	store, ok := n.registry.(discovery.SettingsStore)
	if !ok {
		<-ctx.Done()
		return nil
	}
	return n.settings.Run(ctx, store)
}

// followOwn lets a kvstore apply the settings that it keeps itself, which it asks
// itself for as anybody would, once it listens.
func (c *common) followOwn(ctx context.Context, svc *kvstore.Service, token string, set *settings.Set) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for svc.URL() == "" {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
	store, err := consul.New(consul.Config{
		Address: svc.URL(), Token: token, Settings: path.Join(c.Registry.Consul.Prefix, consul.Defaults().Settings),
	}, consul.Deps{Log: c.log})
	if err != nil {
		return fmt.Errorf("follow own settings: %w", err)
	}
	defer store.Close()
	return set.Run(ctx, store)
}
