package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"imagemill/internal/config"
	"imagemill/internal/release"
	"imagemill/internal/rungroup"
	"imagemill/internal/scribe"
	"imagemill/internal/serve"
	"imagemill/services/frontend"
	"imagemill/services/imagemaster"
	"imagemill/services/kvstore"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
	"imagemill/services/worker"
)

// upConfig is the settings of all services in one process.
type upConfig struct {
	Data string `env:"DATA" help:"folder that holds everything"`

	common   common
	kvstore  kvstore.Config
	taskdb   taskdb.Config
	storage  storage.Config
	master   imagemaster.Config
	worker   worker.Config
	frontend frontend.Config
}

// anyPort is where the services behind the frontend listen.
const anyPort = "127.0.0.1:0"

func defaultUp() *upConfig {
	u := &upConfig{
		Data: "./data", common: defaultCommon(), kvstore: kvstore.DefaultConfig(), taskdb: taskdb.DefaultConfig(),
		storage: storage.DefaultConfig(), master: imagemaster.DefaultConfig(), worker: worker.DefaultConfig(),
		frontend: frontend.DefaultConfig(),
	}
	// One terminal shows all services, so only what needs a look is logged.
	u.common.LogLevel = "warn"
	u.common.Registry.Discovery, u.common.Events.URL = "", ""
	u.kvstore.HTTP.Listen, u.taskdb.Serve.Listen, u.storage.Serve.Listen = anyPort, anyPort, anyPort
	u.master.Serve.Listen, u.worker.Serve.Listen = anyPort, anyPort
	// All stop together: no caller is left that would have to learn of it first.
	for _, c := range []*serve.Config{
		&u.kvstore.HTTP, &u.taskdb.Serve, &u.storage.Serve, &u.master.Serve, &u.worker.Serve, &u.frontend.Serve,
	} {
		c.Linger = 0
	}
	return u
}

// upCommand runs everything in one process, over loopback.
func upCommand() *cobra.Command {
	u := defaultUp()
	var set config.Set
	set.Add("", &u.common)
	set.Add("up", u)
	set.Add("kvstore", &u.kvstore)
	set.Add("taskdb", &u.taskdb)
	set.Add("storage", &u.storage)
	set.Add("imagemaster", &u.master)
	set.Add("worker", &u.worker)
	set.Add("frontend", &u.frontend)
	cmd := &cobra.Command{
		Use: "up", Short: "Run the whole suite in this process, with everything embedded", Args: cobra.NoArgs,
		Long: "Run all six services in one process, over loopback and through the very same discovery, with an embedded " +
			"registry, task database, disk storage and NATS server.\n\nEvery setting has a default, an environment variable " +
			"(in brackets) and a flag; the flag wins.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := set.Load(os.LookupEnv); err != nil {
				return err
			}
			if cores := overlapDisk(); u.worker.Engines == 0 {
				u.worker.Engines = cores // which the worker cannot tell any more
			}
			logs := scribe.NewWriter(os.Stderr)
			defer func() { _ = logs.Flush() }()
			return u.run(cmd.Context(), cmd.OutOrStdout(), logs)
		},
	}
	set.Flags(cmd.Flags(), "up")
	return cmd
}

// below moves a folder that was left at its default below the data folder.
func (u *upConfig) below(dir *string, standard, name string) {
	if *dir == standard {
		*dir = filepath.Join(u.Data, name)
	}
}

// run wires the services as their own commands do, each with a log and an
// identity of its own, and waits for their end.
func (u *upConfig) run(ctx context.Context, out, logs io.Writer) error {
	u.below(&u.kvstore.DataDir, kvstore.DefaultConfig().DataDir, "kvstore")
	u.below(&u.taskdb.Path, taskdb.DefaultConfig().Path, filepath.Join("taskdb", "tasks.db"))
	u.below(&u.storage.Data, storage.DefaultConfig().Data, "storage")
	lock, err := lockFolder("up", "IMAGEMILL_UP_DATA (--data)", u.Data)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := u.portsAreFree(ctx); err != nil {
		return err
	}
	var g rungroup.Group
	if err := u.addBackbone(ctx, &g, logs); err != nil {
		return err
	}
	front, err := u.addServices(ctx, &g, logs)
	if err != nil {
		return err
	}
	watch := u.common
	if err := watch.open("up", logs); err != nil {
		return err
	}
	all, err := watch.neighbours(u.frontend.Serve.Token, "taskdb", "storage", "imagemaster", "worker", "frontend")
	if err != nil {
		return err
	}
	g.Add("greeting", together(all, nil, "greeting", func(ctx context.Context) error { return u.greet(ctx, out, all, front) }))
	return tidily(ctx, heapSlack, g.Run)
}

// addBackbone adds the registry and the NATS server, whose addresses the others
// are then set by.
func (u *upConfig) addBackbone(ctx context.Context, g *rungroup.Group, logs io.Writer) error {
	c := u.common
	if err := c.open("kvstore", logs); err != nil {
		return err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", u.kvstore.HTTP.Listen)
	if err != nil {
		return serve.ListenError("kvstore", serve.ListenSetting("kvstore"), u.kvstore.HTTP.Listen, err)
	}
	kv, err := wireKVStore(c, u.kvstore, ln)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	g.Add("kvstore", kv)
	if u.common.Registry.Discovery == "" {
		u.common.Registry.Discovery = "consul://" + ln.Addr().String()
	}
	if err := u.shareMember(g, logs); err != nil {
		return err
	}
	if u.common.Events.URL != "" {
		return nil
	}
	if err := c.open("nats", logs); err != nil {
		return err
	}
	url, run, err := startNATS(ctx, c, natsConfig{Listen: anyPort})
	if err != nil {
		return err
	}
	u.common.Events.URL = url
	g.Add("nats", run)
	return nil
}

// addServices adds the services in the order in which they lean on each other.
func (u *upConfig) addServices(ctx context.Context, g *rungroup.Group, logs io.Writer) (*frontend.Service, error) {
	for _, s := range []struct {
		name string
		wire func(common) (rungroup.Func, error)
	}{
		{"taskdb", func(c common) (rungroup.Func, error) { return wireTaskDB(ctx, c, u.taskdb) }},
		{"storage", func(c common) (rungroup.Func, error) { return wireStorage(ctx, c, u.storage) }},
		{"imagemaster", func(c common) (rungroup.Func, error) { return wireMaster(c, u.master) }},
		{"worker", func(c common) (rungroup.Func, error) { return wireWorker(c, u.worker) }},
	} {
		c := u.common
		if err := c.open(s.name, logs); err != nil {
			return nil, err
		}
		run, err := s.wire(c)
		if err != nil {
			return nil, err
		}
		g.Add(s.name, run)
	}
	c := u.common
	if err := c.open("frontend", logs); err != nil {
		return nil, err
	}
	svc, n, err := newFrontend(c, u.frontend)
	if err != nil {
		return nil, err
	}
	g.Add("frontend", together(n, nil, "frontend", svc.Run))
	return svc, nil
}

// greet says where to look, once every service is announced, and then waits.
func (u *upConfig) greet(ctx context.Context, out io.Writer, all *neighbours, front *frontend.Service) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for len(all.missing()) > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
	url := front.URL()
	_, err := fmt.Fprintf(out, `imagemill %s is up.

  Web page   %[2]s/
  API        %[2]s/openapi.yaml
  Data       %[3]s
  Registry   %[4]s

Try it, with a picture of yours:

  curl --data-binary @photo.jpg %[2]s/newImage
  curl '%[2]s/image/isReady?id=ID&wait=30s'
  curl -o result.jpg '%[2]s/image/get?id=ID'

Settings change while it runs:

  imagemill config --help
  imagemill config get --discovery %[4]s

Ctrl-C stops it; what was accepted is kept.
`, release.Version(), url, u.Data, u.common.Registry.Discovery)
	if err != nil {
		return fmt.Errorf("write greeting: %w", err)
	}
	<-ctx.Done()
	return nil
}
