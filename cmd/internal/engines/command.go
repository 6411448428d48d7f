package engines

import (
	"context"
	"runtime"

	"github.com/spf13/cobra"

	"imagemill/internal/release"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/process"
)

// slack is never written to, so that it takes no memory, but counts as in use: the
// collector, which would else run for every few tiny pictures, runs when as much
// again has been thrown away. For large pictures it makes no difference.
const slack = 8 << 20

// Command is the child process of a worker, `engine --engine KIND --inputs FORMATS`. Whatever an
// engine loads, it loads when it is made: Serve goes into the sandbox before the
// first picture.
func Command() *cobra.Command {
	kind, inputs := engine.KindAuto, []string(nil)
	cmd := &cobra.Command{
		Use: "engine", Hidden: true, Args: cobra.NoArgs,
		Short: "Render pictures for a worker that has started this process",
		RunE: func(*cobra.Command, []string) error {
			line, err := process.Parent()
			if err != nil {
				return err
			}
			e, can, err := New(kind, inputs...)
			if err != nil {
				return err
			}
			// The parent decides when an engine ends, by closing its line: a signal
			// that was sent to the whole group must not break off a picture.
			held := make([]byte, slack)
			defer runtime.KeepAlive(held)
			return process.Serve(context.Background(), line, e, process.About{Version: release.Version(), Abilities: can})
		},
	}
	cmd.Flags().StringVar(&kind, "engine", kind, "auto, imaging or native")
	cmd.Flags().StringSliceVar(&inputs, "inputs", nil, "further formats of originals: svg, pdf, jxl")
	return cmd
}
