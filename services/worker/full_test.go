package worker

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/internal/volume/volumetest"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
	"imagemill/services/worker/engine"
)

// A full disk of storage costs a picture no try, however long it lasts; nor does
// the worker take it up without a pause.
func TestAFullStorageCostsNoTry(t *testing.T) {
	m := newMill(t, render(paint), nil)
	var full atomic.Bool
	var met atomic.Int64
	full.Store(true)
	m.deps.Blobs = &blobsStub{Store: m.blobs, put: func(storage.Ref) error {
		if full.Load() {
			met.Add(1)
			return fault.New(fault.StorageFull, "the disk is full")
		}
		return nil
	}}
	m.start(t)
	began := time.Now()
	id := m.take(t)
	waiting := func(task taskdb.Task) bool { return task.State == taskdb.NotStarted && task.Attempt >= 5 }
	m.reaches(t, id, waiting)
	require.GreaterOrEqual(t, time.Since(began), fullMin+2*fullMin, "the pauses grow; a call that was parked is served after each, too")
	full.Store(false)
	task := m.reaches(t, id, is(taskdb.Finished))
	require.Zero(t, task.Tries)
	require.Empty(t, task.Failures)
	require.LessOrEqual(t, met.Load(), int64(2*task.Attempt), "two renditions each")
}

// A task for which there is never room must not go round for ever.
func TestATaskThatNeverHasRoomIsFailed(t *testing.T) {
	m := newMill(t, render(func(context.Context, engine.Job) (engine.Report, error) {
		return engine.Report{}, fault.New(fault.StorageFull, "the scratch disk is full")
	}), nil)
	work := m.claim(t)
	work.Attempt = maxAttempts + 1
	m.carryOut(t.Context(), work)
	require.Len(t, m.master.failures(), 1)
	require.True(t, m.master.failures()[0].Retryable)
}

// The worker's own disk, a real one.
func TestAFullScratchCostsNoTry(t *testing.T) {
	disk := volumetest.New(t, 1<<20)
	m := newMill(t, render(paint), func(c *Config) { c.Scratch = disk.Dir })
	disk.Fill(t)
	m.start(t)
	id := m.take(t)
	m.reaches(t, id, func(task taskdb.Task) bool { return task.State == taskdb.NotStarted && task.Attempt >= 2 })
	disk.Free(t)
	task := m.reaches(t, id, is(taskdb.Finished))
	require.Zero(t, task.Tries)
}

func TestPausesAreBounded(t *testing.T) {
	var f fullness
	now := time.Now()
	for range 20 {
		f.met(now)
		f.met(now)
		require.LessOrEqual(t, f.pause, fullMax)
		now = f.until
	}
	require.Equal(t, fullMax, f.pause)
	f.gone()
	require.True(t, f.wait(t.Context()))
	require.Zero(t, f.pause)
}
