package worker

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"imagemill/internal/config"
	"imagemill/pkg/pipeline"
	"imagemill/services/imagemaster"
	"imagemill/services/taskdb"
	"imagemill/services/worker/engine"
)

// blank is an empty PNG of a size.
func blank(t *testing.T, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))))
	return b.Bytes()
}

// upload hands a picture in.
func (m *mill) upload(t *testing.T, data []byte, pipeline string) string {
	t.Helper()
	acc, err := m.master.NewImage(t.Context(), imagemaster.Upload{
		Pipeline: []byte(pipeline), ContentType: "image/png", Size: int64(len(data)), Body: bytes.NewReader(data),
	})
	require.NoError(t, err)
	return acc.ID
}

// A large job waits until the one that runs has ended, and keeps its lease all
// the while; a small one passes it.
func TestALargeJobWaitsForMemoryAndKeepsItsLease(t *testing.T) {
	large, small := blank(t, 3000, 3000), blank(t, 8, 8)
	started, letGo := make(chan int, 8), make(chan struct{})
	renewals := make(chan string, 10_000)
	m := newMill(t, render(func(ctx context.Context, job engine.Job) (engine.Report, error) {
		started <- len(job.Pipeline.Renditions)
		if len(job.Pipeline.Renditions) == 2 {
			<-letGo
		}
		return paint(ctx, job)
	}), func(c *Config) { c.Engines, c.InFlight, c.Budget = 4, 8, 200<<20 })
	m.master.progress = func(p imagemaster.ProgressReport) error {
		renewals <- p.ID
		return m.master.Master.WorkProgress(t.Context(), p)
	}
	m.start(t)
	t.Cleanup(func() { close(letGo) }) // also when the test ends early
	first := m.upload(t, large, document)
	require.Equal(t, 2, receive(t, started))
	second := m.upload(t, large, document)
	require.Eventually(t, func() bool { return m.gate.Waiting() == 1 }, patience, tick)
	require.Positive(t, m.gauge(t, "imagemill_worker_memory_reserved_bytes"))
	require.InDelta(t, 1, m.gauge(t, "imagemill_worker_waiting_jobs"), 0)
	third := m.upload(t, small, `{"renditions":[{"name":"one","format":"png"}]}`)
	require.Equal(t, 1, receive(t, started), "the small one passes")
	m.reaches(t, third, is(taskdb.Finished))
	for n := 0; n < 10; { // several lengths of a lease
		if receive(t, renewals) == second {
			n++
		}
	}
	letGo <- struct{}{}
	require.Equal(t, 2, receive(t, started))
	letGo <- struct{}{}
	for _, id := range []string{first, second} {
		require.Equal(t, 1, m.reaches(t, id, is(taskdb.Finished)).Attempt)
	}
	require.Zero(t, m.gate.Reserved())
}

// gauge reads a metric as /metrics tells it.
func (m *mill) gauge(t *testing.T, name string) float64 {
	t.Helper()
	families, err := m.deps.Metrics.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

func TestWhatCannotFitIsRefusedBeforeAnEngineSeesIt(t *testing.T) {
	never := render(func(context.Context, engine.Job) (engine.Report, error) {
		panic("the engine was asked")
	})
	for name, c := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"more than the budget": {func(c *Config) { c.Budget = 30 << 20 }, "of memory to process; this worker may use 30 MiB"},
		"too many pixels":      {func(c *Config) { c.InputPixels = 1000 }, "the picture is 3000×3000 pixels; at most 1000 pixels are allowed"},
		"too large a result":   {func(c *Config) { c.OutputPixels = 1000 }, "the result would be 3000×3000 pixels"},
	} {
		m := newMill(t, never, c.change)
		m.upload(t, blank(t, 3000, 3000), document)
		told := m.failed(t, m.claimAny(t))
		require.False(t, told.Retryable, name)
		require.Contains(t, told.Reason, c.says, name)
	}
}

// claimAny takes the one task that waits.
func (m *mill) claimAny(t *testing.T) imagemaster.Work {
	t.Helper()
	work, err := m.master.GetWork(t.Context(), imagemaster.WorkRequest{Worker: "w-1", Max: 1})
	require.NoError(t, err)
	require.Len(t, work, 1)
	return work[0]
}

func TestOriginalsOfUnknownHeadersAreTheEnginesMatter(t *testing.T) {
	m := newMill(t, render(paint), func(c *Config) { c.Budget = 30 << 20 })
	for _, data := range []string{"original", "%PDF-1.7 and more", "\x89PNG\r\n\x1a\n"} {
		id := m.upload(t, []byte(data), document)
		m.carryOut(t.Context(), m.claimAny(t))
		require.Equal(t, taskdb.Finished, m.reaches(t, id, is(taskdb.Finished)).State)
	}
}

// A job is not refused for encoders that might work side by side: it does with fewer.
func TestEncodersSideBySideStayWithinTheBudget(t *testing.T) {
	var many []string
	for i := range 8 {
		many = append(many, fmt.Sprintf(`{"name":"r%d","format":"png","operations":[{"op":"resize","width":%d}]}`, i, 1800-i))
	}
	p, err := pipeline.Parse([]byte(`{"renditions":[` + strings.Join(many, ",") + `]}`))
	require.NoError(t, err)
	source := filepath.Join(t.TempDir(), "original")
	require.NoError(t, os.WriteFile(source, blank(t, 2400, 2400), 0o600))
	asks := func(change func(*Config)) (threads int, need int64) {
		m := newMill(t, render(paint), change)
		m.deps.Abilities.Abreast = 16
		job := engine.Job{Source: source, Pipeline: p}
		need, err := m.estimate(&job)
		require.NoError(t, err)
		return job.Threads, need
	}
	threads, all := asks(func(c *Config) { c.Budget, c.Memory = 1<<30, 1<<30 })
	require.Zero(t, threads, "as many as the engine likes")
	threads, need := asks(func(c *Config) { c.Budget, c.Memory = config.Bytes(all)*3/4, 1<<30 })
	require.LessOrEqual(t, need, all*3/4)
	require.Contains(t, []int{2, 4, 8}, threads)
	threads, need = asks(func(c *Config) { c.Budget, c.Memory = 1<<30, 64<<20 })
	require.Equal(t, 1, threads, "of more than its own memory an engine dies")
	require.Greater(t, need, int64(64<<20))
}

func TestTheDefaultBudgetIsFoundOut(t *testing.T) {
	require.Positive(t, DefaultConfig().budget())
	cfg := DefaultConfig()
	cfg.Budget = 5
	require.EqualValues(t, 5, cfg.budget())
}

func TestEachWorkerHasItsOwnMetrics(t *testing.T) {
	m := newMill(t, render(paint), nil)
	deps := m.deps
	deps.Metrics = prometheus.NewRegistry()
	_, err := New(m.cfg, deps)
	require.NoError(t, err)
	families, err := deps.Metrics.Gather()
	require.NoError(t, err)
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	require.Contains(t, strings.Join(names, " "), "imagemill_worker_memory_budget_bytes")
}
