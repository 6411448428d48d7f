package worker

import (
	"context"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/internal/leaktest"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/process"
)

// engineVariable makes the test binary an engine process that dies of every image.
const engineVariable = "IMAGEMILL_WORKER_TEST_ENGINE"

func TestMain(m *testing.M) {
	if os.Getenv(engineVariable) == "" {
		leaktest.Main(m)
		return
	}
	line, err := process.Parent()
	if err != nil {
		os.Exit(1)
	}
	_ = process.Serve(context.Background(), line, render(func(context.Context, engine.Job) (engine.Report, error) {
		os.Exit(9)
		return engine.Report{}, nil
	}), process.About{})
}

const (
	patience = 2 * time.Minute
	tick     = time.Millisecond
	document = `{"version":1,"renditions":[{"name":"a","format":"png"},{"name":"b","format":"png"}]}`
)

// render is an engine made of a function.
type render func(ctx context.Context, job engine.Job) (engine.Report, error)

func (f render) Render(ctx context.Context, job engine.Job) (engine.Report, error) {
	return f(ctx, job)
}

// paint makes every rendition a copy of the original.
func paint(_ context.Context, job engine.Job) (engine.Report, error) {
	data, err := os.ReadFile(job.Source)
	if err != nil {
		return engine.Report{}, err
	}
	rep := engine.Report{Engine: "paint", Original: engine.Picture{Format: "png", Width: 4, Height: 3}}
	for _, r := range job.Pipeline.Renditions {
		file := filepath.Join(job.Dir, "out-"+r.Name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			return rep, err
		}
		rep.Renditions = append(rep.Renditions, engine.Rendition{
			Name: r.Name, File: file, Width: 4, Height: 3, Format: r.Format, ContentType: "image/png", Bytes: int64(len(data)),
		})
	}
	return rep, nil
}

// masterStub is a master some of whose answers a test writes itself.
type masterStub struct {
	imagemaster.Master
	mu       sync.Mutex
	getWork  func(context.Context, imagemaster.WorkRequest) ([]imagemaster.Work, error)
	progress func(imagemaster.ProgressReport) error
	finished func(imagemaster.FinishedWork) error
	get      func() error
	failed   []imagemaster.FailedWork
}

func (m *masterStub) GetWork(ctx context.Context, r imagemaster.WorkRequest) ([]imagemaster.Work, error) {
	if m.getWork != nil {
		return m.getWork(ctx, r)
	}
	return m.Master.GetWork(ctx, r)
}

func (m *masterStub) WorkProgress(ctx context.Context, p imagemaster.ProgressReport) error {
	if m.progress != nil {
		return m.progress(p)
	}
	return m.Master.WorkProgress(ctx, p)
}

func (m *masterStub) WorkFinished(ctx context.Context, w imagemaster.FinishedWork) error {
	if m.finished != nil {
		if err := m.finished(w); err != nil {
			return err
		}
	}
	return m.Master.WorkFinished(ctx, w)
}

func (m *masterStub) WorkFailed(ctx context.Context, w imagemaster.FailedWork) error {
	m.mu.Lock()
	m.failed = append(m.failed, w)
	m.mu.Unlock()
	return m.Master.WorkFailed(ctx, w)
}

func (m *masterStub) failures() []imagemaster.FailedWork {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]imagemaster.FailedWork(nil), m.failed...)
}

// mill is a worker with a real master over memory behind it.
type mill struct {
	*Service
	master  *masterStub
	tasks   *taskdb.Memory
	records *records
	blobs   *storage.Mem
}

// records is a Recorder that carries out the end of one task, and does not say so.
type records struct {
	taskdb.Recorder
	mute atomic.Value // the ID
}

func (r *records) Record(ctx context.Context, all ...taskdb.Record) []error {
	outcomes := r.Recorder.Record(ctx, all...)
	for i, rec := range all {
		if rec.Finish != nil && rec.Finish.ID == r.mute.Load() {
			outcomes[i] = fault.New(fault.Unavailable, "the task database does not answer in time")
		}
	}
	return outcomes
}

func newMill(t *testing.T, eng engine.Engine, change func(*Config)) *mill {
	t.Helper()
	log, bus := slog.New(slog.NewTextHandler(io.Discard, nil)), events.NewMemory()
	tcfg := taskdb.DefaultConfig()
	tcfg.Lease = 5 * patience // no standstill of this machine loses one
	m := &mill{blobs: storage.NewMem(), tasks: taskdb.NewMemory(tcfg, taskdb.MemoryDeps{Events: bus})}
	m.records = &records{Recorder: taskdb.RecorderOf(m.tasks)}
	mcfg := imagemaster.DefaultConfig()
	mcfg.Poll, mcfg.Lease, mcfg.SweepEvery = 10*time.Millisecond, 30*time.Millisecond, 0
	mcfg.Serve.Listen = "127.0.0.1:0"
	master, err := imagemaster.New(mcfg, imagemaster.Deps{
		Log: log, Instance: "m-1", Tasks: m.tasks, Records: m.records, Blobs: m.blobs, Events: bus,
	})
	require.NoError(t, err)
	running(t, master.Run)
	m.master = &masterStub{Master: master}
	cfg := DefaultConfig()
	cfg.Engines, cfg.Scratch = 2, t.TempDir()
	if change != nil {
		change(&cfg)
	}
	m.Service, err = New(cfg, Deps{Log: log, Instance: "w-1", Master: m.master, Blobs: m.blobs, Engine: eng})
	require.NoError(t, err)
	return m
}

// start runs the worker until the test ends or stop is called.
func (m *mill) start(t *testing.T) (stop func(), done <-chan error) {
	t.Helper()
	return running(t, m.Run)
}

// running calls run, and ends it when the test ends or stop is called.
func running(t *testing.T, run func(context.Context) error) (stop func(), done <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended, errs := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(ended)
		errs <- run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return cancel, errs
}

func (m *mill) take(t *testing.T) string {
	t.Helper()
	acc, err := m.master.NewImage(t.Context(), imagemaster.Upload{
		Pipeline: []byte(document), ContentType: "image/png", Size: 8, Body: strings.NewReader("original"),
	})
	require.NoError(t, err)
	return acc.ID
}

// reaches waits until a task is as want says, and gives it.
func (m *mill) reaches(t *testing.T, id string, want func(taskdb.Task) bool) taskdb.Task {
	t.Helper()
	var task taskdb.Task
	require.Eventually(t, func() bool {
		var err error
		task, err = m.tasks.Get(t.Context(), id)
		return err == nil && want(task)
	}, patience, tick)
	return task
}

func is(state taskdb.State) func(taskdb.Task) bool {
	return func(t taskdb.Task) bool { return t.State == state }
}

// results counts the renditions in storage.
func (m *mill) results(t *testing.T) int {
	t.Helper()
	page, err := m.blobs.List(t.Context(), storage.Finished, "", 0)
	require.NoError(t, err)
	return len(page.Blobs)
}

// requireNoScratch looks for what was left beyond the few small files of one
// folder, which the next task writes over.
func (m *mill) requireNoScratch(t *testing.T) {
	t.Helper()
	var files, bytes int64
	require.NoError(t, filepath.WalkDir(m.cfg.Scratch, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		files, bytes = files+1, bytes+info.Size()
		return err
	}))
	require.LessOrEqual(t, files, int64(4))
	require.LessOrEqual(t, bytes, int64(4<<20))
}

func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("not reached")
	}
}
