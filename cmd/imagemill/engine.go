package main

import (
	"context"

	"github.com/spf13/cobra"

	"imagemill/services/worker"
	"imagemill/services/worker/engine/process"
)

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
			return process.Serve(context.Background(), line, e)
		},
	}
	cmd.Flags().StringVar(&kind, "engine", kind, "auto, imaging or native")
	return cmd
}
