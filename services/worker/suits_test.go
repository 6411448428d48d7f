package worker

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/ability"
	"imagemill/pkg/pipeline"
	"imagemill/services/imagemaster"
	"imagemill/services/taskdb"
	"imagemill/services/worker/engine"
)

// beside starts one more worker with abilities over the same master.
func (m *mill) beside(t *testing.T, name string, can engine.Abilities, eng engine.Engine, engines func() []ability.Set) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Engines, cfg.Scratch = 2, t.TempDir()
	service, err := New(cfg, Deps{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Instance: name, Master: m.master, Blobs: m.blobs,
		Engine: eng, Abilities: can, Engines: engines,
	})
	require.NoError(t, err)
	(&mill{Service: service}).start(t)
}

// strict is an engine that refuses what its abilities do not have, as real ones do.
func strict(can engine.Abilities) render {
	return func(ctx context.Context, job engine.Job) (engine.Report, error) {
		if err := can.Check(job.Pipeline); err != nil {
			return engine.Report{}, err
		}
		return paint(ctx, job)
	}
}

var (
	plain = engine.Abilities{In: []string{"png"}, Out: []pipeline.Format{pipeline.PNG}}
	rich  = engine.Abilities{In: []string{"png", "svg"}, Out: []pipeline.Format{pipeline.PNG, pipeline.WebP}}
)

func ended(t taskdb.Task) bool { return t.State == taskdb.Finished || t.State == taskdb.Failed }

func (m *mill) takeAs(t *testing.T, format string) string {
	t.Helper()
	acc, err := m.master.NewImage(t.Context(), imagemaster.Upload{
		Pipeline: []byte(`{"renditions":[{"format":"` + format + `"}]}`), ContentType: "image/png", Size: -1, Body: strings.NewReader("original"),
	})
	require.NoError(t, err)
	return acc.ID
}

// Work that only one of two kinds of workers can do is done by that one, at the first
// attempt, and by nobody else meanwhile.
func TestWorkIsDoneByWhoCanDoIt(t *testing.T) {
	m := newMill(t, render(paint), nil)
	both := func() []ability.Set { return []ability.Set{plain.Set(), rich.Set()} }
	m.beside(t, "plain", plain, strict(plain), both)
	m.beside(t, "rich", rich, strict(rich), both)
	for range 20 {
		webp, png := m.takeAs(t, "webp"), m.takeAs(t, "png")
		task := m.reaches(t, webp, ended)
		require.Equal(t, taskdb.Finished, task.State, "%v", task.Failures)
		require.Equal(t, 1, task.Attempt)
		require.Equal(t, "rich", task.Result.Worker)
		require.Equal(t, taskdb.Finished, m.reaches(t, png, ended).State)
	}
	require.Empty(t, m.master.failures())
}

// A call that began before the other worker was seen may be given its work: that is
// given back, and costs no attempt that counts.
func TestWorkOfAnotherIsGivenBack(t *testing.T) {
	m := newMill(t, render(paint), nil)
	var seen atomic.Bool
	m.beside(t, "plain", plain, strict(plain), func() []ability.Set {
		if seen.Load() {
			return []ability.Set{plain.Set(), rich.Set()}
		}
		return []ability.Set{plain.Set()}
	})
	m.reaches(t, m.takeAs(t, "png"), ended) // the worker waits in its next call now, or soon
	seen.Store(true)
	id := m.takeAs(t, "webp")
	m.beside(t, "rich", rich, strict(rich), func() []ability.Set { return []ability.Set{plain.Set(), rich.Set()} })
	task := m.reaches(t, id, ended)
	require.Equal(t, taskdb.Finished, task.State, "%v", task.Failures)
	require.Equal(t, "rich", task.Result.Worker)
	require.Zero(t, task.Tries)
}

// What nobody can do comes to an end, with the engine's own words.
func TestWorkThatNobodyCanDoFails(t *testing.T) {
	m := newMill(t, render(paint), nil)
	m.beside(t, "plain", plain, strict(plain), func() []ability.Set { return []ability.Set{plain.Set()} })
	task := m.reaches(t, m.takeAs(t, "webp"), ended)
	require.Equal(t, taskdb.Failed, task.State)
	require.Contains(t, task.Failures[len(task.Failures)-1].Reason, "WebP cannot be written here; PNG can")
	require.Equal(t, 2, task.Tries)
}

// Where nothing is known of others, an engine's word is final at once.
func TestAnEnginesWordIsFinalWhereNothingIsKnown(t *testing.T) {
	m := newMill(t, render(paint), nil)
	m.beside(t, "plain", plain, strict(plain), nil)
	task := m.reaches(t, m.takeAs(t, "webp"), ended)
	require.Equal(t, taskdb.Failed, task.State)
	require.Equal(t, 1, task.Tries)
}
