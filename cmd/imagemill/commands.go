package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"imagemill/cmd/internal/engines"
	"imagemill/internal/config"
	"imagemill/internal/release"
	"imagemill/internal/rungroup"
	"imagemill/internal/scribe"
	"imagemill/internal/tidy"
)

// commandFor assembles what these arguments ask for: all subcommands, but for the
// question after a service's health, which every container asks every minute, only
// its own, since the settings of all services take longer than the answer.
func commandFor(args []string) *cobra.Command {
	if len(args) == 0 || args[0] != "health" {
		return root()
	}
	cmd := bare()
	cmd.AddCommand(healthCommand())
	return cmd
}

// bare is the program without subcommands.
func bare() *cobra.Command {
	return &cobra.Command{
		Use:           "imagemill",
		Short:         "Turns pictures into other pictures, asynchronously, on as many machines as it takes",
		Version:       release.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
}

// root assembles all subcommands.
func root() *cobra.Command {
	cmd := bare()
	cmd.AddCommand(upCommand())
	for _, s := range services() {
		cmd.AddCommand(serviceCommand(s))
	}
	cmd.AddCommand(configCommand(), servicesCommand(), explainCommand())
	cmd.AddCommand(engines.Command(), benchCommand(), healthCommand(), secretsCommand(), versionCommand())
	return cmd
}

// service is one service as a subcommand: its settings, and how it is wired.
type service struct {
	name, short string
	// prepare returns the section's settings and what wires and runs them.
	prepare func() (cfg any, wire wiring)
}

// disk reports whether a service syncs files for every picture.
func (s service) disk() bool {
	return slices.Contains([]string{"taskdb", "storage"}, s.name)
}

// serviceCommand makes the subcommand that runs one service alone.
func serviceCommand(s service) *cobra.Command {
	cfg, wire := s.prepare()
	com := defaultCommon()
	var set config.Set
	set.Add("", &com)
	set.Add(s.name, cfg)
	cmd := &cobra.Command{
		Use: s.name, Short: s.short, Args: cobra.NoArgs,
		Long: s.short + ".\n\nEvery setting has a default, an environment variable (in brackets) and a flag; the flag wins.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := set.Load(os.LookupEnv); err != nil {
				return err
			}
			logs := scribe.NewWriter(os.Stderr)
			defer func() { _ = logs.Flush() }()
			if err := com.open(s.name, logs); err != nil {
				return err
			}
			if s.disk() {
				overlapDisk()
			}
			run, err := wire(cmd.Context(), com)
			if err != nil {
				return err
			}
			return tidily(cmd.Context(), s.slack(), run)
		},
	}
	set.Flags(cmd.Flags(), s.name)
	return cmd
}

// heapSlack is what a service throws away, at the least, before it is collected:
// without it a service whose heap is small is collected for every fifty tiny
// pictures. docs/benchmarks.md has the figures.
const heapSlack = 8 << 20

// slack is that of a service alone. Pictures do not pass through those that are to
// be small.
func (s service) slack() int {
	if slices.Contains([]string{"kvstore", "nats"}, s.name) {
		return 0
	}
	return heapSlack
}

// tidily runs services, and has memory handed back after each burst.
func tidily(ctx context.Context, slack int, run rungroup.Func) error {
	tctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	tidied := make(chan error, 1)
	go func() { tidied <- tidy.Run(tctx, slack) }()
	err := run(ctx)
	stop()
	return errors.Join(err, <-tidied)
}

// overlapDisk lets Go run twice as many threads as there are cores, unless
// GOMAXPROCS says otherwise, and gives the number of cores. A goroutine in
// fsync keeps its place among the running ones until Go's monitor takes that
// away, so that with one place for each core the cores stand idle while disks
// are written; docs/benchmarks.md has the figures.
func overlapDisk() (cores int) {
	if os.Getenv("GOMAXPROCS") != "" {
		return runtime.GOMAXPROCS(0)
	}
	runtime.SetDefaultGOMAXPROCS() // a test may come here more than once
	cores = runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(2 * cores)
	return cores
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "imagemill %s %s %s/%s\n",
				release.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
