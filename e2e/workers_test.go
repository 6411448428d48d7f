package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
	"imagemill/services/worker"
	"imagemill/services/worker/engine"
)

// slowEngine takes its time over every picture, and no processor.
type slowEngine struct{ takes time.Duration }

func (s slowEngine) Render(ctx context.Context, job engine.Job) (engine.Report, error) {
	if err := pause(ctx, s.takes); err != nil {
		return engine.Report{}, err
	}
	rep := engine.Report{Engine: "slow", Elapsed: s.takes, Original: engine.Picture{Format: "png", Width: 1, Height: 1}}
	for _, r := range job.Pipeline.Renditions {
		file := filepath.Join(job.Dir, r.Name)
		if err := os.WriteFile(file, []byte("result"), 0o600); err != nil {
			return rep, err
		}
		rep.Renditions = append(rep.Renditions, engine.Rendition{
			Name: r.Name, File: file, Width: 1, Height: 1, Format: "png", ContentType: "image/png", Bytes: 6,
		})
	}
	return rep, nil
}

// crew is a master over memory, reached by HTTP, and workers with slow engines.
type crew struct {
	t      testing.TB
	master *imagemaster.Client
	tasks  *taskdb.Memory
	blobs  *storage.Mem
	hc     *http.Client
}

func newCrew(t testing.TB) *crew {
	bus := events.NewMemory()
	db := taskdb.DefaultConfig()
	db.Lease = time.Hour // none ends
	c := &crew{t: t, tasks: taskdb.NewMemory(db, taskdb.MemoryDeps{Events: bus}), blobs: storage.NewMem()}
	cfg := imagemaster.DefaultConfig()
	cfg.Serve.Listen = "127.0.0.1:0"
	master, err := imagemaster.New(cfg, imagemaster.Deps{
		Log: slog.New(slog.DiscardHandler), Instance: "m", Tasks: c.tasks, Blobs: c.blobs, Events: bus,
	})
	require.NoError(t, err)
	c.runs(master.Run)
	require.Eventually(t, func() bool { return master.URL() != "" }, patience, time.Millisecond)
	tr := &http.Transport{MaxIdleConnsPerHost: 256}
	t.Cleanup(tr.CloseIdleConnections)
	c.hc = &http.Client{Transport: tr}
	c.master = imagemaster.NewClient(master.URL(), c.hc)
	return c
}

// patience is how long a condition may take to come true.
const patience = time.Minute

// runs starts a service, which stops with stop, or at the end of the test.
func (c *crew) runs(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			c.t.Errorf("run: %v", err)
		}
	})
	c.t.Cleanup(stop)
	return stop
}

// hire starts a worker with so many engines.
func (c *crew) hire(name string, engines int, takes, grace time.Duration) (stop func()) {
	cfg := worker.DefaultConfig()
	cfg.Engines, cfg.InFlight, cfg.Scratch = engines, 2*engines, c.t.TempDir()
	cfg.Serve.Grace, cfg.Serve.Linger = grace, 0
	w, err := worker.New(cfg, worker.Deps{
		Log: slog.New(slog.DiscardHandler), Instance: name, Master: c.master, Blobs: c.blobs,
		Engine: newBusy(engines, slowEngine{takes}),
	})
	require.NoError(c.t, err)
	return c.runs(w.Run)
}

// busy is an engine of so many processes.
type busy struct {
	slots chan struct{}
	next  engine.Engine
}

func newBusy(n int, next engine.Engine) *busy {
	return &busy{slots: make(chan struct{}, n), next: next}
}

func (b *busy) Render(ctx context.Context, job engine.Job) (engine.Report, error) {
	b.slots <- struct{}{}
	defer func() { <-b.slots }()
	return b.next.Render(ctx, job)
}

func (c *crew) take() string {
	acc, err := c.master.NewImage(c.t.Context(), imagemaster.Upload{
		Pipeline: []byte(`{"renditions":[{"name":"main","format":"png"}]}`), ContentType: "image/png",
		Size: 8, Body: strings.NewReader("original"),
	})
	require.NoError(c.t, err)
	return acc.ID
}

// What a worker gives back when it is stopped is in work elsewhere within two
// seconds, and costs neither a try nor a death.
func TestReleasedWorkGoesOnElsewhere(t *testing.T) {
	c := newCrew(t)
	leave := c.hire("leaves", 2, time.Hour, 50*time.Millisecond)
	ids := []string{c.take(), c.take()}
	in := func(worker string) func() bool {
		return func() bool {
			for _, id := range ids {
				task, err := c.tasks.Get(t.Context(), id)
				if err != nil || task.State != taskdb.InProgress || task.Worker != worker {
					return false
				}
			}
			return true
		}
	}
	require.Eventually(t, in("leaves"), patience, time.Millisecond)
	c.hire("stays", 2, time.Hour, 50*time.Millisecond)
	began := time.Now()
	go leave()
	require.Eventually(t, in("stays"), patience, time.Millisecond)
	took := time.Since(began)
	t.Logf("in work elsewhere %s after the stop began", took.Round(time.Millisecond))
	require.Less(t, took, 2*time.Second)
	for _, id := range ids {
		task, err := c.tasks.Get(t.Context(), id)
		require.NoError(t, err)
		require.Zero(t, task.Deaths)
		require.Empty(t, task.Failures)
	}
}

// Throughput over the number of workers, with an operation that takes a tenth of
// a second and no processor. of-linear is the share of workers × one worker's.
func BenchmarkWorkers(b *testing.B) {
	const takes = 100 * time.Millisecond
	var single float64
	for _, n := range []int{1, 2, 4, 8, 16, 32} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				perSecond := throughput(b, n, takes)
				if n == 1 {
					single = perSecond
				}
				b.ReportMetric(perSecond, "tasks/s")
				b.ReportMetric(perSecond/(single*float64(n)), "of-linear")
			}
		})
	}
}

// throughput has n workers do forty pictures each.
func throughput(b *testing.B, n int, takes time.Duration) float64 {
	c := newCrew(b)
	for range 40 * n {
		c.take()
	}
	began := time.Now()
	for i := range n {
		c.hire(fmt.Sprintf("w-%d", i), 1, takes, time.Second)
	}
	require.Eventually(b, func() bool {
		s, err := c.tasks.Stats(b.Context())
		return err == nil && s.States[taskdb.Finished] == int64(40*n)
	}, time.Minute, time.Millisecond)
	return float64(40*n) / time.Since(began).Seconds()
}
