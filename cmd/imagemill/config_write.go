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

func configSet() *cobra.Command {
	var o operator
	cmd := &cobra.Command{
		Use: "set NAME VALUE", Short: "Change one shared setting", Args: cobra.ExactArgs(2),
		Long:    "Check a value as the services do, and write it. The value - is read from standard input.",
		Example: "  imagemill config set log/level debug\n  imagemill config set worker/engines 4\n  imagemill config set presets/square - < square.json",
	}
	o.flags(cmd, func(ctx context.Context, cmd *cobra.Command, args []string) error {
		name, value := args[0], args[1]
		if value == "-" {
			var err error
			if value, err = readValue(cmd.InOrStdin()); err != nil {
				return err
			}
		}
		if err := shared.Catalogue().Check(name, value); err != nil {
			return err
		}
		by := writerName()
		err := o.withStore(ctx, cmd.ErrOrStderr(), func(ctx context.Context, store discovery.SettingsStore) error {
			ctx, cancel := context.WithTimeout(ctx, o.timeout)
			defer cancel()
			return unsure(store.PutSetting(ctx, name, value, by))
		})
		if err != nil {
			return err
		}
		if o.json {
			return printJSON(cmd.OutOrStdout(), changeLine{Name: name, Value: &value, Writer: by})
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is set\n", name)
		return err
	})
	return cmd
}

func configUnset() *cobra.Command {
	var o operator
	cmd := &cobra.Command{
		Use: "unset NAME", Short: "Take one shared setting back: each service's own configuration counts again", Args: cobra.ExactArgs(1),
	}
	o.flags(cmd, func(ctx context.Context, cmd *cobra.Command, args []string) error {
		name, said := args[0], ""
		err := o.withStore(ctx, cmd.ErrOrStderr(), func(ctx context.Context, store discovery.SettingsStore) (err error) {
			said, err = o.remove(ctx, store, name)
			return err
		})
		if err != nil {
			return err
		}
		if o.json {
			return printJSON(cmd.OutOrStdout(), changeLine{Name: name})
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
		return err
	})
	return cmd
}

// remove deletes a setting and says what that changed. One that nobody knows can
// be removed too, if it is there.
func (o *operator) remove(ctx context.Context, store discovery.SettingsStore, name string) (said string, err error) {
	doc, err := o.read(ctx, store)
	if err != nil {
		return "", err
	}
	said = name + " is no longer set"
	if _, there := doc[name]; !there {
		said = name + " was not set"
		if _, err := shared.Catalogue().Find(name); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	return said, unsure(store.DeleteSetting(ctx, name, writerName()))
}

// unsure adds what a registry that was too slow to answer leaves open.
func unsure(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w; it may have been done all the same: imagemill config get tells", err)
	}
	return err
}

// readValue reads a value from standard input, without the space around it.
func readValue(in io.Reader) (string, error) {
	all, err := io.ReadAll(io.LimitReader(in, discovery.MaxSettingValue+1))
	if err != nil {
		return "", fmt.Errorf("read value: %w", err)
	}
	if len(all) > discovery.MaxSettingValue {
		return "", fmt.Errorf("the value has more than %d bytes", discovery.MaxSettingValue)
	}
	return strings.TrimSpace(string(all)), nil
}
