package worker

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
	"imagemill/services/worker/engine"
)

// A task that ended with the result of a twin, of which its master was not told, is
// nothing for a worker: that would find its lease lost, and remove the result.
func TestNoWorkerRemovesWhatATwinWasGiven(t *testing.T) {
	var rendered atomic.Int64
	m := newMill(t, render(func(ctx context.Context, job engine.Job) (engine.Report, error) {
		if data, err := os.ReadFile(job.Source); err == nil && string(data) == "original" && rendered.Add(1) > 1 {
			<-ctx.Done() // until it is told that the lease is lost
			return engine.Report{}, ctx.Err()
		}
		return paint(ctx, job)
	}), func(c *Config) { c.Engines = 1 })
	m.deps.Abilities.Engine = "paint"
	var handed atomic.Bool
	m.master.getWork = func(ctx context.Context, r imagemaster.WorkRequest) ([]imagemaster.Work, error) {
		work, err := m.master.Master.GetWork(ctx, r)
		for _, w := range work {
			if w.ID == m.records.mute.Load() {
				handed.Store(true)
			}
		}
		return work, err
	}
	take := func(body string) string {
		acc, err := m.master.NewImage(t.Context(), imagemaster.Upload{
			Pipeline: []byte(document), ContentType: "image/png", Size: int64(len(body)), Body: strings.NewReader(body), Dedupe: true,
		})
		require.NoError(t, err)
		return acc.ID
	}
	take("original")
	twin := take("original")
	m.records.mute.Store(twin)
	m.start(t)
	m.reaches(t, twin, is(taskdb.Finished))
	m.reaches(t, take("another"), is(taskdb.Finished)) // so the worker has come by again
	require.False(t, handed.Load())
	got, err := m.master.Get(t.Context(), twin, "", storage.Whole())
	require.NoError(t, err)
	require.NoError(t, got.Object.Body.Close())
}
