package worker

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/shared"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/settings"
	"imagemill/services/taskdb"
	"imagemill/services/worker/engine"
)

// share makes a set, and what changes it: name, value, ….
func share() (*settings.Set, func(...string)) {
	set := settings.New(settings.Config{Known: shared.Catalogue()})
	version := uint64(0)
	return set, func(pairs ...string) {
		doc := discovery.Document{}
		for i := 0; i < len(pairs); i += 2 {
			version++
			doc[pairs[i]] = discovery.Entry{Value: pairs[i+1], Version: version}
		}
		set.Apply(doc)
	}
}

func TestLimitsAreShared(t *testing.T) {
	set, change := share()
	got := make(chan engine.Limits, 8)
	m := newMill(t, render(func(ctx context.Context, job engine.Job) (engine.Report, error) {
		got <- job.Limits
		return paint(ctx, job)
	}), nil)
	m.Service = m.with(t, set, nil)
	m.carryOut(t.Context(), m.claim(t))
	cfg := m.cfg
	require.Equal(t, engine.Limits{InputPixels: cfg.InputPixels, OutputPixels: cfg.OutputPixels, Side: cfg.Side, Frames: cfg.Frames, WallTime: cfg.WallTime}, receive(t, got))
	change("worker/input-pixels", "1", "worker/output-pixels", "2", "worker/side", "3", "worker/frames", "4", "worker/wall-time", "5m")
	m.carryOut(t.Context(), m.claim(t))
	require.Equal(t, engine.Limits{InputPixels: 1, OutputPixels: 2, Side: 3, Frames: 4, WallTime: 5 * time.Minute}, receive(t, got))
	change("worker/wall-time", "1ms")
	m.carryOut(t.Context(), m.claim(t))
	require.Equal(t, engine.Limits{InputPixels: cfg.InputPixels, OutputPixels: cfg.OutputPixels, Side: cfg.Side, Frames: cfg.Frames, WallTime: 5 * time.Minute},
		receive(t, got), "a bad one leaves the last good one")
}

// with is the mill's service once more, with shared settings.
func (m *mill) with(t *testing.T, set *settings.Set, resize func(int)) *Service {
	t.Helper()
	deps := m.deps
	deps.Settings, deps.Resize, deps.Metrics = set, resize, nil
	s, err := New(m.cfg, deps)
	require.NoError(t, err)
	return s
}

// The number of tasks at work follows the setting up and down while tasks are in
// hand, and each is done once.
func TestConcurrencyChangesUnderLoad(t *testing.T) {
	var now, most atomic.Int64
	letGo := make(chan struct{})
	m := newMill(t, render(func(ctx context.Context, job engine.Job) (engine.Report, error) {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		select {
		case letGo <- struct{}{}:
		case <-ctx.Done():
			return engine.Report{}, ctx.Err()
		}
		return paint(ctx, job)
	}), func(c *Config) { c.Engines, c.InFlight = 2, 2 })
	set, change := share()
	sizes := make(chan int, 16)
	m.Service = m.with(t, set, func(n int) { sizes <- n })
	require.Equal(t, 2, receive(t, sizes), "what is configured")
	var ids []string
	for range 24 {
		ids = append(ids, m.take(t))
	}
	m.start(t)
	holds := func(n int64) {
		t.Helper()
		require.Eventually(t, func() bool { return now.Load() == n }, patience, tick, "want %d at work", n)
	}
	finish := func(n int) {
		for range n {
			receive(t, letGo)
		}
	}
	holds(2)
	for _, n := range []int{6, 1, 3} {
		change("worker/engines", strconv.Itoa(n))
		require.Equal(t, n, receive(t, sizes))
		finish(6)
		holds(int64(n))
	}
	change()
	require.Equal(t, 2, receive(t, sizes))
	finish(6)
	for _, id := range ids {
		task := m.reaches(t, id, is(taskdb.Finished))
		require.Equal(t, 1, task.Attempt, "done once")
	}
	require.LessOrEqual(t, most.Load(), int64(6))
}
