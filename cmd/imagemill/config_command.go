package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"imagemill/internal/shared"
	"imagemill/pkg/discovery"
)

// configCommand is the operator's tool for the shared settings.
func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Read and change the settings that all services share, while they run", Args: cobra.NoArgs,
		Long: "Read and change the settings that all services share. A change takes effect at once, in every service, without a " +
			"restart. A setting that is not set leaves each service with what it was started with; one that is set wins over it.\n\n" +
			"The settings are:\n\n" + settingsHelp(),
	}
	cmd.AddCommand(configGet(), configSet(), configUnset(), configWatch())
	return cmd
}

// settingsHelp lists all settings that there are.
func settingsHelp() string {
	var b strings.Builder
	t := newTable(&b)
	for _, k := range shared.Catalogue() {
		d := k.Describe()
		t.row("  "+d.Name, d.Help, d.Allowed)
	}
	if err := t.flush(); err != nil {
		return err.Error() // a Builder never fails
	}
	return b.String()
}

func configGet() *cobra.Command {
	var o operator
	cmd := &cobra.Command{
		Use: "get [NAME]", Short: "Print one shared setting, or all", Args: cobra.MaximumNArgs(1),
		Long: "Print the value of one shared setting, or a table of all of them. One that is not set is an error with a name given.",
	}
	o.flags(cmd, func(ctx context.Context, cmd *cobra.Command, args []string) error {
		doc, err := o.document(ctx, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if len(args) == 0 {
			return o.printAll(out, doc)
		}
		e, ok := doc[args[0]]
		if !ok {
			if err := discovery.CheckSettingName(args[0]); err != nil {
				return err
			}
			if _, err := shared.Catalogue().Find(args[0]); err != nil {
				return err
			}
			return fmt.Errorf("%s is not set: each service goes by its own configuration", args[0])
		}
		if o.json {
			return printJSON(out, change(args[0], e))
		}
		_, err = fmt.Fprintln(out, harmless(e.Value))
		return err
	})
	return cmd
}

func configWatch() *cobra.Command {
	var o operator
	cmd := &cobra.Command{
		Use: "watch [NAME]", Short: "Print shared settings, and every change of them, until stopped", Args: cobra.MaximumNArgs(1),
		Long: "Print what is set now, and then each change as it comes. Of changes that follow each other within a fraction of a " +
			"second only the last may be seen.",
	}
	o.flags(cmd, func(ctx context.Context, cmd *cobra.Command, args []string) error {
		only := ""
		if len(args) == 1 {
			only = args[0]
			if err := discovery.CheckSettingName(only); err != nil {
				return err
			}
		}
		return o.withStore(ctx, cmd.ErrOrStderr(), func(ctx context.Context, store discovery.SettingsStore) error {
			return o.watchSettings(ctx, cmd.OutOrStdout(), store, only)
		})
	})
	return cmd
}

// watchSettings prints every change of one setting, or of all, until ctx is done.
func (o *operator) watchSettings(ctx context.Context, out io.Writer, store discovery.SettingsStore, only string) error {
	docs, old := store.WatchSettings(ctx), discovery.Document{}
	doc, err := first(ctx, o, docs)
	for open := err == nil; open; doc, open = <-docs {
		for _, line := range changes(old, doc, only) {
			if err := o.printLine(out, line); err != nil {
				return err
			}
		}
		old = doc
	}
	return stopped(err)
}

// document reads all settings once.
func (o *operator) document(ctx context.Context, errs io.Writer) (doc discovery.Document, err error) {
	err = o.withStore(ctx, errs, func(ctx context.Context, store discovery.SettingsStore) (err error) {
		doc, err = o.read(ctx, store)
		return err
	})
	return doc, err
}

func (o *operator) read(ctx context.Context, store discovery.SettingsStore) (discovery.Document, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	doc, err := first(ctx, o, store.WatchSettings(ctx))
	if err != nil && errors.Is(err, context.Canceled) {
		return nil, errors.New("stopped before the registry answered")
	}
	return doc, err
}
