package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"imagemill/pkg/client"
)

// benchConfig is what the load tool is set by.
type benchConfig struct {
	url, key       string
	clients, count int
	warm           int
	picture        string
	preset, query  string
	timeout        time.Duration
	verify, json   bool
	engine         bool
}

// benchCommand puts load on a running suite and tells how it did.
func benchCommand() *cobra.Command {
	cfg := benchConfig{key: os.Getenv("IMAGEMILL_API_KEY")}
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure a running suite: upload, wait, verify, print percentiles", Args: cobra.NoArgs,
		Long: "Upload pictures with many clients at once, wait until each is finished, and print percentiles of the time of the " +
			"upload and of the time from its start to the end of the work.\n\nThe command fails if any picture did. " +
			"A key is taken from IMAGEMILL_API_KEY.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cfg.run(cmd.Context(), cmd.OutOrStdout(), os.Stderr)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.url, "url", "http://127.0.0.1:8080", "the frontend")
	f.IntVar(&cfg.clients, "clients", 64, "clients at once, 1 to 10000")
	f.IntVar(&cfg.count, "count", 2000, "pictures in all, 1 or more")
	f.IntVar(&cfg.warm, "warm", 0, "pictures before those, which are not measured")
	f.StringVar(&cfg.picture, "picture", "tiny", "tiny (64×64 PNG, no two alike), 12mp (4000×3000 JPEG), or a file")
	f.StringVar(&cfg.preset, "preset", "", "what to make of them: a preset of the server")
	f.StringVar(&cfg.query, "query", "", "what to make of them: operations, such as width=800&format=png")
	f.DurationVar(&cfg.timeout, "timeout", 2*time.Minute, "how long one picture may take, and how long its verification")
	f.BoolVar(&cfg.verify, "verify", false, "then download every result, check its digest and dimensions, and its pixels unless the preset is the server's own")
	f.BoolVar(&cfg.json, "json", false, "print the report as JSON")
	f.BoolVar(&cfg.engine, "engine", false, "measure the engine alone, in a child process and without any service")
	return cmd
}

// check finds settings that cannot be measured with, and parses the query.
func (c *benchConfig) check() (url.Values, error) {
	switch {
	case c.clients < 1 || c.clients > 10_000:
		return nil, fmt.Errorf("--clients: %d is outside 1 to 10000", c.clients)
	case c.count < 1:
		return nil, fmt.Errorf("--count: %d is below 1", c.count)
	case c.warm < 0:
		return nil, fmt.Errorf("--warm: %d is negative", c.warm)
	case c.timeout <= 0:
		return nil, fmt.Errorf("--timeout: %s is not above 0s", c.timeout)
	case c.preset != "" && c.query != "":
		return nil, errors.New("--preset, --query: only one of them can be given")
	case c.engine && c.verify:
		return nil, errors.New("--engine, --verify: only one of them can be given")
	}
	q, err := url.ParseQuery(c.query)
	if err != nil {
		return nil, fmt.Errorf("--query: %w", err)
	}
	return q, nil
}

// run measures and reports. The error says how many pictures failed, and why
// the first of them did.
func (c *benchConfig) run(ctx context.Context, out, term io.Writer) error {
	query, err := c.check()
	if err != nil {
		return err
	}
	next, err := pictures(c.picture)
	if err != nil {
		return err
	}
	job, err := c.job(ctx, next, client.Options{Preset: c.preset, Query: query})
	if err != nil {
		return err
	}
	if c.warm > 0 {
		l := load{clients: c.clients, count: c.warm, timeout: c.timeout, task: job.task, step: func() {}}
		_, _ = l.run(ctx)
	}
	bar := newBar(term, c.count)
	l := load{clients: c.clients, count: c.count, timeout: c.timeout, task: job.task, step: bar.step}
	all, took := l.run(ctx)
	bar.end()
	if c.verify {
		job.verify(ctx, all, c.timeout)
	}
	if err := job.end(); err != nil {
		return err
	}
	r := summarize(all, took, c.clients)
	if err := r.print(out, c.json); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if r.Errors > 0 {
		return fmt.Errorf("%d of %d pictures went wrong; the first: %s", r.Errors, c.count, r.FirstError)
	}
	return nil
}

// job is what is measured, and what is to be called after the last picture;
// verify is there only where it can be asked for.
type job struct {
	task   task
	verify func(ctx context.Context, all []sample, timeout time.Duration)
	end    func() error
}

func (c *benchConfig) job(ctx context.Context, next func() []byte, o client.Options) (job, error) {
	if c.engine {
		task, end, err := engineTask(ctx, c, next, o)
		return job{task: task, end: end}, err
	}
	// Repeats would hide errors, and hide them in the times.
	cl, err := client.New(client.Config{URL: c.url, APIKey: c.key, Retries: -1, HTTPClient: benchHTTP(c.clients)})
	if err != nil {
		return job{}, fmt.Errorf("--url: %w", err)
	}
	return job{
		task: suiteTask(cl, next, o, c.verify), verify: newVerifier(cl, o).verifyAll,
		end: func() error { cl.Close(); return nil },
	}, nil
}
