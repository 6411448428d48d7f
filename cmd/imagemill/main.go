// Command imagemill is the whole suite in one binary: each service as a
// subcommand, all of them together as "imagemill up", and the tools around them.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// main ends the program, and nothing else does. The first SIGINT or SIGTERM
// asks for an orderly stop; a second one ends the process at once.
func main() {
	stopNATSPulse()
	if err := calmMonitor(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "imagemill:", err) // it goes on as it began
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := commandFor(os.Args[1:]).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "imagemill:", err)
		os.Exit(1)
	}
}
