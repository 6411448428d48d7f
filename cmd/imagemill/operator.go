package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"imagemill/internal/config"
	"imagemill/internal/rungroup"
	"imagemill/pkg/discovery"
)

// operator is what the operator's tools are set by: where the registry is, under
// the very names that the services have for it.
type operator struct {
	common common
	token  struct {
		Token string `env:"CLUSTER_TOKEN" global:"true" secret:"true" help:"shared secret of all services"`
	}
	timeout time.Duration
	json    bool
	trouble trouble
}

// trouble keeps the log's last line while the registry is asked for the first
// time, so that giving up says why, once. Later lines go to the terminal.
type trouble struct {
	mu   sync.Mutex
	out  io.Writer
	over bool // the registry has answered
	last string
}

// Write takes one line of the log.
func (t *trouble) Write(line []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return t.out.Write(line)
	}
	t.last = strings.TrimSpace(string(line))
	return len(line), nil
}

// answered lets later lines through.
func (t *trouble) answered() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
}

// reason is the last line, to stand behind a sentence.
func (t *trouble) reason() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == "" {
		return ""
	}
	return "\n" + t.last
}

// flags adds the flags to a command. What RunE gets is loaded and checked.
func (o *operator) flags(cmd *cobra.Command, run func(ctx context.Context, cmd *cobra.Command, args []string) error) {
	o.common, o.timeout = defaultCommon(), 10*time.Second
	var set config.Set
	set.Add("", &o.common)
	set.Add("", &o.token)
	set.Flags(cmd.Flags(), "")
	for _, others := range []string{"log-level", "nats", "nats-token", "discovery-ttl"} {
		if f := cmd.Flags().Lookup(others); f != nil {
			f.Hidden = true // a service's business
		}
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	cmd.Flags().DurationVar(&o.timeout, "timeout", o.timeout, "how long the registry may take to answer")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := set.Load(os.LookupEnv); err != nil {
			return err
		}
		if o.timeout <= 0 {
			return fmt.Errorf("--timeout: %s is not above 0s", o.timeout)
		}
		return run(cmd.Context(), cmd, args)
	}
}

// open opens the registry for a tool, with a log for people.
func (o *operator) open(errs io.Writer) (opened, error) {
	o.trouble.out, o.common.instance = errs, "operator"
	o.common.log = slog.New(slog.NewTextHandler(&o.trouble, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return o.common.openRegistry(o.token.Token)
}

// address is the registry as the operator named it.
func (o *operator) address() string { return o.common.Registry.Discovery }

// withRegistry opens the registry and calls do, while the registry runs.
func (o *operator) withRegistry(ctx context.Context, errs io.Writer, do func(context.Context, discovery.Registry) error) error {
	reg, err := o.open(errs)
	if err != nil {
		return err
	}
	var g rungroup.Group
	if reg.run != nil {
		g.Add("registry", reg.run) // one that takes part; a client has nothing to run
	}
	var done error // as it is: the group would put a name before it
	g.Add("tool", func(ctx context.Context) error { done = do(ctx, reg.registry); return nil })
	return errors.Join(g.Run(ctx), done)
}

// withStore is withRegistry for the shared settings.
func (o *operator) withStore(ctx context.Context, errs io.Writer, do func(context.Context, discovery.SettingsStore) error) error {
	return o.withRegistry(ctx, errs, func(ctx context.Context, reg discovery.Registry) error {
		store, ok := reg.(discovery.SettingsStore)
		if !ok {
			return fmt.Errorf("the registry %s keeps no shared settings", o.address())
		}
		return do(ctx, store)
	})
}

// first waits for the first of what a watch delivers.
func first[T any](ctx context.Context, o *operator, watch <-chan T) (T, error) {
	var none T
	late := time.NewTimer(o.timeout)
	defer late.Stop()
	select {
	case v, open := <-watch:
		if !open {
			return none, ctx.Err()
		}
		o.trouble.answered()
		return v, nil
	case <-late.C:
		return none, fmt.Errorf("the registry %s has not answered within %s: is the address right "+
			"(IMAGEMILL_DISCOVERY, --discovery), and the token (IMAGEMILL_CLUSTER_TOKEN)?%s", o.address(), o.timeout, o.trouble.reason())
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// stopped turns the end by a signal into no error: it is how a watch ends.
func stopped(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// writerName is who writes a setting: user@host.
func writerName() string {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host
}
