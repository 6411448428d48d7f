package main

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"imagemill/internal/events"
	"imagemill/internal/release"
	"imagemill/internal/rungroup"
	"imagemill/internal/serve"
	"imagemill/pkg/discovery"
	"imagemill/services/frontend"
	"imagemill/services/imagemaster"
	"imagemill/services/kvstore"
	"imagemill/services/storage"
	"imagemill/services/storage/disk"
	"imagemill/services/storage/replication"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/postgres"
	"imagemill/services/taskdb/sqlite"
	"imagemill/services/worker"
	"imagemill/services/worker/engine/process"
)

// services lists the subcommands in the order in which data flows back.
func services() []service {
	return []service{
		{"kvstore", "Service registry and shared settings, with Consul's KV API", func() (any, wiring) {
			cfg := kvstore.DefaultConfig()
			return &cfg, func(_ context.Context, c common) (rungroup.Func, error) { return wireKVStore(c, cfg, nil) }
		}},
		{"nats", "An embedded NATS server, where none is at hand", func() (any, wiring) {
			cfg := defaultNATSConfig()
			return &cfg, func(_ context.Context, c common) (rungroup.Func, error) { return wireNATS(c, cfg) }
		}},
		{"taskdb", "The one truth about every task", func() (any, wiring) {
			cfg := taskdb.DefaultConfig()
			return &cfg, func(ctx context.Context, c common) (rungroup.Func, error) { return wireTaskDB(ctx, c, cfg) }
		}},
		{"storage", "Image bytes, before and after", func() (any, wiring) {
			cfg := storage.DefaultConfig()
			return &cfg, func(ctx context.Context, c common) (rungroup.Func, error) { return wireStorage(ctx, c, cfg) }
		}},
		{"imagemaster", "Takes images in, hands work out, takes results", func() (any, wiring) {
			cfg := imagemaster.DefaultConfig()
			return &cfg, func(_ context.Context, c common) (rungroup.Func, error) { return wireMaster(c, cfg) }
		}},
		{"worker", "Pulls tasks and makes the renditions", func() (any, wiring) {
			cfg := worker.DefaultConfig()
			return &cfg, func(_ context.Context, c common) (rungroup.Func, error) { return wireWorker(c, cfg) }
		}},
		{"frontend", "Everything a user touches", func() (any, wiring) {
			cfg := frontend.DefaultConfig()
			return &cfg, func(_ context.Context, c common) (rungroup.Func, error) {
				svc, n, err := newFrontend(c, cfg)
				if err != nil {
					return nil, err
				}
				return together(n, nil, "frontend", svc.Run), nil
			}
		}},
	}
}

// wiring turns the loaded settings into something to run.
type wiring func(context.Context, common) (rungroup.Func, error)

// wireKVStore needs nobody. A listener that is already open replaces LISTEN.
func wireKVStore(c common, cfg kvstore.Config, ln net.Listener) (rungroup.Func, error) {
	if err := kvstoreFolder(cfg); err != nil {
		return nil, err
	}
	metrics := prometheus.NewRegistry()
	set := c.settings(metrics)
	svc, err := kvstore.New(cfg, kvstore.Deps{
		Log: c.log, Instance: c.instance, Version: release.Version(), Listener: ln, Metrics: metrics, Settings: set,
	})
	if err != nil {
		return nil, err
	}
	var g rungroup.Group
	g.Add("kvstore", svc.Run)
	g.Add("settings", func(ctx context.Context) error { return c.followOwn(ctx, svc, cfg.HTTP.Token, set) })
	return g.Run, nil
}

// taskStore is a store that somebody has to close.
type taskStore interface {
	taskdb.Store
	Missing() []string
	Close() error
}

// openTasks opens the database that is set: PostgreSQL, or a file of SQLite.
func openTasks(ctx context.Context, c common, cfg taskdb.Config, bus events.Publisher) (taskStore, error) {
	if cfg.Database != "" {
		return postgres.Open(ctx, cfg, postgres.Deps{Log: c.log, Events: bus})
	}
	if err := taskdbFolder(cfg); err != nil {
		return nil, err
	}
	return sqlite.Open(ctx, cfg, sqlite.Deps{Log: c.log, Events: bus, Now: wallClock})
}

// wireTaskDB opens the database, which outlives the service that uses it.
func wireTaskDB(ctx context.Context, c common, cfg taskdb.Config) (rungroup.Func, error) {
	n, err := c.neighbours(cfg.Serve.Token)
	if err != nil {
		return nil, err
	}
	bus, runBus, err := c.bus()
	if err != nil {
		return nil, err
	}
	store, err := openTasks(ctx, c, cfg, bus)
	if err != nil {
		return nil, inService("taskdb", err)
	}
	svc, err := taskdb.New(cfg, taskdb.Deps{
		Log: c.log, Instance: c.instance, Version: release.Version(),
		Registry: n.registry, Store: store, Missing: store.Missing, Services: n.transport.Instances, Settings: n.settings,
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return together(n, runBus, "taskdb", func(ctx context.Context) error {
		return errors.Join(svc.Run(ctx), store.Close())
	}), nil
}

// wireStorage keeps the blobs on the local disk, or in an object store.
func wireStorage(ctx context.Context, c common, cfg storage.Config) (rungroup.Func, error) {
	n, err := c.neighbours(cfg.Serve.Token)
	if err != nil {
		return nil, err
	}
	blobs, err := openBlobs(ctx, c, cfg, n)
	if err != nil {
		return nil, err
	}
	svc, err := storage.New(cfg, storage.Deps{
		Routes: blobs.routes, Tags: blobs.tags, Notices: blobs.notices, Metrics: n.metrics,
		Log: c.log, Instance: c.instance, Version: release.Version(),
		Registry: n.registry, Store: blobs.store, Missing: blobs.missing, Services: n.transport.Instances, Settings: n.settings,
	})
	if err != nil {
		return nil, errors.Join(err, blobs.close())
	}
	// The store outlives all that runs beside it.
	run := together(n, blobs.run, "storage", func(ctx context.Context) error {
		if blobs.drain != nil {
			defer context.AfterFunc(ctx, blobs.drain)()
		}
		return svc.Run(ctx)
	})
	return func(ctx context.Context) error { return errors.Join(run(ctx), blobs.close()) }, nil
}

// blobs is a store with what belongs to it.
type blobs struct {
	store   storage.Store
	missing func() []string
	close   func() error
	run     rungroup.Func // nil for nothing to run beside it

	// Of disks that are copied to each other, else nil.
	notices func() []string
	routes  func(e *echo.Echo)
	tags    map[string]string
	drain   func() // is called when the service is asked to stop
}

// openBlobs opens what the settings name.
func openBlobs(ctx context.Context, c common, cfg storage.Config, n *neighbours) (blobs, error) {
	if cfg.URL == "" {
		return openDisk(c, cfg, n)
	}
	return openCloud(ctx, c, cfg)
}

// openDisk opens the folder, as one of the nodes that copy each other's blobs.
func openDisk(c common, cfg storage.Config, n *neighbours) (blobs, error) {
	if err := storageFolder(cfg); err != nil {
		return blobs{}, err
	}
	s, err := disk.Open(disk.Config{Dir: cfg.Data, MinFree: int64(cfg.MinFree)}, disk.Deps{Log: c.log})
	if err != nil {
		return blobs{}, err
	}
	node, err := replication.Open(cfg.Replication, replication.Deps{
		Log: c.log, Instance: c.instance, Local: s, Registry: n.registry, Metrics: n.metrics, Now: wallClock,
		Client: func(in discovery.Instance) *http.Client {
			one := serve.Recognize(func(discovery.Instance) http.RoundTripper {
				return discovery.InstanceTransport(discovery.TransportConfig{})
			})
			return &http.Client{Transport: serve.Outgoing(one(in), cfg.Serve.Token)}
		},
	})
	if err != nil {
		return blobs{}, inService("storage", err)
	}
	return blobs{
		store: node, missing: func() []string { return append(s.Missing(), node.Missing()...) }, close: node.Close, run: node.Run,
		notices: node.Notices, routes: node.Routes, tags: map[string]string{replication.Tag: node.Epoch()}, drain: node.Drain,
	}, nil
}

// wireMaster leans on storage and taskdb.
func wireMaster(c common, cfg imagemaster.Config) (rungroup.Func, error) {
	n, err := c.neighbours(cfg.Serve.Token, "storage", "taskdb")
	if err != nil {
		return nil, err
	}
	bus, runBus, err := c.bus()
	if err != nil {
		return nil, err
	}
	tasks := taskdb.NewClient("http://taskdb", n.client)
	svc, err := imagemaster.New(cfg, imagemaster.Deps{
		Log: c.log, Instance: c.instance, Version: release.Version(), Registry: n.registry,
		Tasks: tasks, Records: taskdb.NewTogether(tasks), Blobs: storage.NewClient("http://storage", n.client).WithReplicas(cfg.Replicas),
		Events: bus, Missing: n.missing, Notices: n.watch.Notices, Metrics: n.metrics,
		Services: n.transport.Instances, Settings: n.settings,
	})
	if err != nil {
		return nil, err
	}
	return together(n, runBus, "imagemaster", svc.Run), nil
}

// wireWorker leans on imagemaster and storage, and on engines, which are child
// processes: this very program, or one that stands beside it.
func wireWorker(c common, cfg worker.Config) (rungroup.Func, error) {
	if err := workerFolder(cfg); err != nil {
		return nil, err
	}
	n, err := c.neighbours(cfg.Serve.Token, "imagemaster", "storage")
	if err != nil {
		return nil, err
	}
	engines, can, err := enginePool(cfg)
	if err != nil {
		return nil, err
	}
	pool, err := process.New(engines, process.Deps{Log: c.log, Metrics: n.metrics})
	if err != nil {
		return nil, err
	}
	svc, err := worker.New(cfg, worker.Deps{
		Log: c.log, Instance: c.instance, Version: release.Version(), Registry: n.registry,
		Master: imagemaster.NewTogether(imagemaster.NewClient("http://imagemaster", n.client)),
		Blobs:  storage.NewClient("http://storage", n.client).WithReplicas(cfg.Replicas),
		Engine: pool, Abilities: can, Engines: n.followWorkers().Engines, Resize: pool.Resize, Missing: n.missing, Metrics: n.metrics,
		Notices:  func() []string { return append(n.watch.Notices(), pool.Notices()...) },
		Services: n.transport.Instances, Settings: n.settings,
	})
	if err != nil {
		return nil, err
	}
	var g rungroup.Group
	g.Add("engines", pool.Run)
	g.Add("worker", together(n, nil, "worker", svc.Run))
	return g.Run, nil
}

// newFrontend leans on imagemaster.
func newFrontend(c common, cfg frontend.Config) (*frontend.Service, *neighbours, error) {
	n, err := c.neighbours(cfg.Serve.Token, "imagemaster")
	if err != nil {
		return nil, nil, err
	}
	svc, err := frontend.New(cfg, frontend.Deps{
		Log: c.log, Instance: c.instance, Version: release.Version(), Registry: n.registry,
		Master: imagemaster.NewClient("http://imagemaster", n.client), Missing: n.missing, Notices: n.watch.Notices, Metrics: n.metrics,
		Services: n.transport.Instances, Settings: n.settings, Engines: n.followWorkers().Engines,
	})
	return svc, n, err
}
