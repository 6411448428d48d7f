package main

import (
	"context"
	"runtime"

	"github.com/spf13/cobra"

	"imagemill/services/worker"
	"imagemill/services/worker/engine/process"
)

// engineSlack is never written to, so that it takes no memory, but counts as in
// use: the collector, which would else run for every few tiny pictures, runs when
// as much again has been thrown away. For large pictures it makes no difference.
const engineSlack = 8 << 20

// engineCommand is the child process of a worker. Whatever an engine loads, it
// loads when it is made: Serve goes into the sandbox before the first picture.
func engineCommand() *cobra.Command {
	kind := worker.EngineAuto
	cmd := &cobra.Command{
		Use: "engine", Hidden: true, Args: cobra.NoArgs,
		Short: "Render pictures for a worker that has started this process",
		RunE: func(*cobra.Command, []string) error {
			line, err := process.Parent()
			if err != nil {
				return err
			}
			e, err := newEngine(kind)
			if err != nil {
				return err
			}
			// The parent decides when an engine ends, by closing its line: a signal
			// that was sent to the whole group must not break off a picture.
			slack := make([]byte, engineSlack)
			defer runtime.KeepAlive(slack)
			return process.Serve(context.Background(), line, e)
		},
	}
	cmd.Flags().StringVar(&kind, "engine", kind, "auto, imaging or native")
	return cmd
}
