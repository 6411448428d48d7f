package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"imagemill/pkg/client"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/process"
)

// engineTask measures what the suite is compared with: the worker's own pool of
// engines, set as by default, with files that are already there.
func engineTask(ctx context.Context, c *benchConfig, next func() []byte, o client.Options) (task, func() error, error) {
	doc, err := document(o)
	if err != nil {
		return nil, nil, err
	}
	pool, stop, err := startPool(ctx)
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "imagemill-bench-")
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make scratch folder: %w", err), stop())
	}
	end := func() error { return errors.Join(stop(), os.RemoveAll(dir)) }
	if err := ready(ctx, pool, c.timeout); err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return func(ctx context.Context) sample { return renderOne(ctx, pool, dir, next(), doc) }, end, nil
}

// document is what the server would make of the options.
func document(o client.Options) (pipeline.Pipeline, error) {
	if p, given, err := pipeline.FromQuery(o.Query); err != nil || given {
		return p, err
	}
	name := o.Preset
	if name == "" {
		name = pipeline.DefaultName
	}
	p, ok := pipeline.DefaultPresets()[name]
	if !ok {
		return p, fmt.Errorf("--preset: %q is not built in, and the engine alone has no others", name)
	}
	return p, nil
}

// startPool gives a running pool and what stops it.
func startPool(ctx context.Context) (*process.Pool, func() error, error) {
	engines, _, err := enginePool(worker.DefaultConfig())
	if err != nil {
		return nil, nil, err
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	pool, err := process.New(engines, process.Deps{Log: log})
	if err != nil {
		return nil, nil, fmt.Errorf("make engines: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- pool.Run(ctx) }()
	return pool, func() error { cancel(); return <-done }, nil
}

// ready waits until the pool renders.
func ready(ctx context.Context, pool *process.Pool, most time.Duration) error {
	ctx, stop := context.WithTimeout(ctx, most)
	defer stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for pool.Ready() != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for engines: %w", ctx.Err())
		}
	}
	return nil
}

// renderOne writes the picture first, and measures the engine only.
func renderOne(ctx context.Context, pool *process.Pool, dir string, picture []byte, doc pipeline.Pipeline) (s sample) {
	dir, err := os.MkdirTemp(dir, "")
	if err != nil {
		return sample{err: fmt.Errorf("make folder: %w", err)}
	}
	defer func() { s.err = errors.Join(s.err, os.RemoveAll(dir)) }()
	source := filepath.Join(dir, "original")
	if err := os.WriteFile(source, picture, 0o600); err != nil {
		return sample{err: fmt.Errorf("write original: %w", err)}
	}
	start := time.Now()
	_, s.err = pool.Render(ctx, engine.Job{
		Source: source, Dir: dir, Pipeline: doc, Limits: engine.Limits{WallTime: engine.DefaultWallTime},
	})
	s.total = time.Since(start)
	return s
}
