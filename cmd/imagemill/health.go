package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthTime is how long one question may take.
const healthTime = 2 * time.Second

// healthConfig is what a question after a service's health is set by.
type healthConfig struct {
	url   string
	ready bool
}

// healthCommand asks one service whether it is well; a container's health check
// is this command.
func healthCommand() *cobra.Command {
	cfg := healthConfig{url: os.Getenv("IMAGEMILL_HEALTH_URL")}
	if cfg.url == "" {
		cfg.url = "http://127.0.0.1:8080"
	}
	cmd := &cobra.Command{
		Use: "health [URL]", Short: "Ask a service whether it is alive, or ready", Args: cobra.MaximumNArgs(1),
		Long: "Ask the service at URL whether it is alive (/healthz), or with --ready whether it has all that it needs (/readyz).\n\n" +
			"The exit status is 0 for yes and 1 for no, also if there is no answer within " + healthTime.String() + ". Neither question needs a token.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				cfg.url = args[0]
			}
			return cfg.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&cfg.url, "url", cfg.url, "the service [IMAGEMILL_HEALTH_URL]")
	cmd.Flags().BoolVar(&cfg.ready, "ready", false, "ask whether it is ready, instead of alive")
	return cmd
}

// healthAnswer is what /healthz and /readyz say, as far as it is shown.
type healthAnswer struct {
	Service, Version string
	Missing          []string
}

// run asks once and says what came of it. Anything but a 200 is an error.
func (c healthConfig) run(ctx context.Context, out io.Writer) error {
	path, state := "/healthz", "alive"
	if c.ready {
		path, state = "/readyz", "ready"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.url, "/")+path, nil)
	if err != nil {
		return fmt.Errorf("%q is no URL: %w", c.url, err)
	}
	// A transport of its own knows no proxy: the service is nearby.
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.url, err)
	}
	defer func() { _ = resp.Body.Close() }()
	var said healthAnswer
	// What a stranger answers is no JSON; the status says enough.
	_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&said)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is not %s: %s", c.url, state, strings.Join(append([]string{resp.Status}, said.Missing...), "; "))
	}
	_, err = fmt.Fprintln(out, strings.TrimSpace(strings.Join([]string{state, said.Service, said.Version}, " ")))
	return err
}
