package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"imagemill/internal/config"
	"imagemill/internal/secret"
	"imagemill/services/frontend"
)

// secretsConfig is what the files of secrets are made from.
type secretsConfig struct {
	Dir string `env:"DIR" help:"folder of the files"`

	Cluster string `env:"CLUSTER_TOKEN" global:"true" secret:"true" help:"shared secret of all services; empty: the file's, or a new one"`
	NATS    string `env:"NATS_TOKEN" global:"true" secret:"true" help:"token for the NATS servers; empty: the file's, or a new one"`
}

// Validate refuses secrets that are none.
func (c secretsConfig) Validate() error {
	var errs []error
	for _, s := range []struct{ name, value string }{{"CLUSTER_TOKEN", c.Cluster}, {"NATS_TOKEN", c.NATS}} {
		if s.value == "" {
			continue
		}
		if err := secret.Check(s.value); err != nil {
			errs = append(errs, fmt.Errorf("%s: the value %w, or leave it empty: then one is made", s.name, err))
		}
	}
	return errors.Join(errs...)
}

// secretsCommand makes the secrets of a deployment, before its services start.
func secretsCommand() *cobra.Command {
	cfg := secretsConfig{Dir: "secrets"}
	var set, front config.Set
	set.Add("secrets", &cfg)
	users := frontend.DefaultConfig()
	front.Add("frontend", &users)
	cmd := &cobra.Command{
		Use: "secrets", Short: "Make the secrets of a deployment, where they are missing", Args: cobra.NoArgs,
		Long: "Make the files cluster-token, nats-token and nats.conf (for a NATS server that asks for the token) in a folder, for the " +
			"_FILE settings of the services.\n\nWhat is there stays, unless the environment gives another value: that one is written. " +
			"What the frontend would refuse, such as an open port without keys, is refused here, before anything starts.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(set.Load(os.LookupEnv), front.Load(os.LookupEnv)); err != nil {
				return err
			}
			for i, key := range users.APIKeys {
				if why := secret.Weakness(key); why != "" {
					return fmt.Errorf("IMAGEMILL_FRONTEND_API_KEYS: key %d %s; make one with: openssl rand -hex 32", i+1, why)
				}
			}
			return cfg.run(cmd.OutOrStdout())
		},
	}
	set.Flags(cmd.Flags(), "secrets")
	return cmd
}

// secretMode lets the owner and its group read, and nobody write.
const secretMode = 0o440

// run makes what is missing and says what it did, without any secret.
func (c secretsConfig) run(out io.Writer) error {
	if err := os.MkdirAll(c.Dir, 0o750); err != nil {
		return fmt.Errorf("make folder of secrets: %w", err)
	}
	if _, err := c.keep(out, "cluster-token", c.Cluster); err != nil {
		return err
	}
	token, err := c.keep(out, "nats-token", c.NATS)
	if err != nil {
		return err
	}
	// No JetStream: nothing that NATS carries is the record of anything.
	return c.put(out, "nats.conf", fmt.Sprintf("port: 4222\nauthorization {\n  token: %q\n}\n", token))
}

// keep gives the secret of a file, which becomes given, or is made where there
// is neither.
func (c secretsConfig) keep(out io.Writer, name, given string) (string, error) {
	if given != "" {
		return given, c.put(out, name, given+"\n")
	}
	there, err := os.ReadFile(filepath.Join(c.Dir, name))
	if err == nil {
		value := strings.TrimSpace(string(there))
		if err := secret.Check(value); err != nil {
			return "", fmt.Errorf("%s: the value %w, or remove the file: then one is made", filepath.Join(c.Dir, name), err)
		}
		return value, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read secret: %w", err)
	}
	value := secret.New()
	return value, c.put(out, name, value+"\n")
}

// put replaces a file by one rename, unless it has that content: a reader sees
// all of the one or all of the other.
func (c secretsConfig) put(out io.Writer, name, content string) error {
	path := filepath.Join(c.Dir, name)
	if there, err := os.ReadFile(path); err == nil && string(there) == content {
		return nil
	}
	f, err := os.CreateTemp(c.Dir, "."+name+"-")
	if err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	_, err = f.WriteString(content)
	err = errors.Join(err, f.Chmod(secretMode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, errors.Join(err, os.Remove(f.Name())))
	}
	_, err = fmt.Fprintf(out, "%s is written\n", path)
	return err
}
