package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"imagemill/pkg/discovery"
)

// servicesCommand shows who is announced.
func servicesCommand() *cobra.Command {
	var o operator
	watch := false
	cmd := &cobra.Command{
		Use: "services [SERVICE]", Short: "Show the services that are announced in the registry", Args: cobra.MaximumNArgs(1),
		Long: "Show all instances that are announced in the registry now, or those of one service; with --watch also every change, until stopped.",
	}
	o.flags(cmd, func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return o.withRegistry(ctx, cmd.ErrOrStderr(), func(ctx context.Context, reg discovery.Registry) error {
			return o.watchServices(ctx, cmd.OutOrStdout(), reg, strings.Join(args, ""), watch)
		})
	})
	cmd.Flags().BoolVar(&watch, "watch", false, "go on and show every change")
	return cmd
}

// watchServices prints the set that is announced now, and with on every later one.
func (o *operator) watchServices(ctx context.Context, out io.Writer, reg discovery.Registry, service string, on bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sets := reg.Watch(ctx, service)
	set, err := first(ctx, o, sets)
	for open := err == nil; open; set, open = <-sets {
		if err := o.printSet(out, set, on); err != nil || !on {
			return err
		}
	}
	return stopped(err)
}

// printSet prints one set: a table or JSON, with --watch one line of it.
func (o *operator) printSet(out io.Writer, set []discovery.Instance, watch bool) error {
	slices.SortStableFunc(set, func(a, b discovery.Instance) int { return strings.Compare(a.Service, b.Service) })
	switch {
	case o.json && watch:
		return json.NewEncoder(out).Encode(set)
	case o.json:
		return printJSON(out, set)
	case watch:
		fmt.Fprintf(out, "%s  %d announced\n", time.Now().Format(time.TimeOnly), len(set))
	}
	t := newTable(out)
	t.row("SERVICE", "INSTANCE", "URL", "VERSION", "SINCE")
	for _, in := range set {
		t.row(printable(in.Service), printable(in.ID), printable(in.URL), printable(in.Version), in.Started.Local().Format(time.DateTime))
	}
	if watch {
		t.row("")
	}
	return t.flush()
}
