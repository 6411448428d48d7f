// Command imagemill-engine is the engine process of a worker, and nothing else:
// the program that is linked with libvips (build tag vips), so that the services
// need not be. It stands beside imagemill, which starts it as
// `imagemill-engine engine`; both have to come from one build.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"imagemill/cmd/internal/engines"
	"imagemill/internal/release"
)

func main() {
	root := &cobra.Command{
		Use: "imagemill-engine", Short: "Renders pictures for an imagemill worker, which starts it",
		Version: release.Version(), SilenceUsage: true, SilenceErrors: true, Args: cobra.NoArgs,
	}
	root.AddCommand(engines.Command())
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "imagemill-engine:", err)
		os.Exit(1)
	}
}
