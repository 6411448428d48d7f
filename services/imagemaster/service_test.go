package imagemaster_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
	"imagemill/services/imagemaster/imagemastertest"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/taskdbtest"
)

// world is a master and what it leans on.
type world struct {
	*imagemaster.Service
	tasks *tasks
	blobs *blobs
	bus   *events.Memory
	clock *taskdbtest.Clock // of the sweeper
}

func newWorld(t *testing.T, change func(*imagemaster.Config)) *world {
	t.Helper()
	bus := events.NewMemory()
	w := &world{
		tasks: &tasks{Store: taskdb.NewMemory(tasksConfig(), taskdb.MemoryDeps{Events: bus})},
		blobs: &blobs{Store: storage.NewMem()}, bus: bus, clock: taskdbtest.NewClock(),
	}
	cfg := testConfig()
	if change != nil {
		change(&cfg)
	}
	deps := testDeps(w.tasks, w.blobs, bus)
	deps.Now = w.clock.Now
	w.Service = newService(t, cfg, deps)
	return w
}

func upload(body string) imagemaster.Upload {
	return imagemaster.Upload{
		Pipeline: json.RawMessage(imagemastertest.Document), ContentType: "image/png",
		Size: int64(len(body)), Body: strings.NewReader(body),
	}
}

func (w *world) take(t *testing.T) string {
	t.Helper()
	acc, err := w.NewImage(t.Context(), upload("original"))
	require.NoError(t, err)
	return acc.ID
}

// foreign makes a task as another master would.
func (w *world) foreign(t *testing.T) string {
	t.Helper()
	id := uuid.Must(uuid.NewV7()).String()
	_, err := w.tasks.Store.Create(t.Context(), taskdb.NewTask{
		ID: id, Pipeline: upload("original").Pipeline,
		Original: taskdb.Blob{Key: imagemaster.OriginalRef(id).Key, Size: 8, SHA256: strings.Repeat("0f", 32), ContentType: "image/png"},
	})
	require.NoError(t, err)
	return id
}

func (w *world) originals(t *testing.T) int {
	t.Helper()
	page, err := w.blobs.List(t.Context(), storage.InProgress, "", 0)
	require.NoError(t, err)
	return len(page.Blobs)
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

func TestTheBlobIsThereBeforeItsTask(t *testing.T) {
	w := newWorld(t, nil)
	w.tasks.create = func(ctx context.Context, n taskdb.NewTask) (taskdb.Task, error) {
		info, err := w.blobs.Stat(ctx, imagemaster.OriginalRef(n.ID))
		require.NoError(t, err)
		require.Equal(t, info.SHA256, n.Original.SHA256)
		return w.tasks.Store.Create(ctx, n)
	}
	w.take(t)
}

func TestNoTaskWithoutABlob(t *testing.T) {
	w := newWorld(t, nil)
	w.blobs.put = func(context.Context, storage.Ref, io.Reader, storage.PutOptions) (storage.Info, error) {
		return storage.Info{}, fault.New(fault.StorageFull, "the disk is full")
	}
	w.tasks.create = func(context.Context, taskdb.NewTask) (taskdb.Task, error) {
		t.Error("a task was recorded")
		return taskdb.Task{}, nil
	}
	_, err := w.NewImage(t.Context(), upload("original"))
	require.Equal(t, fault.StorageFull, fault.KindOf(err))
}

func TestWhatARefusedTaskLeavesBehind(t *testing.T) {
	for kind, left := range map[fault.Kind]int{
		// The key is another task's: nobody will ask for the blob.
		fault.Unprocessable: 0,
		// The task may have been recorded, if only by the call that this one repeats:
		// the sweeper decides.
		fault.Invalid: 1, fault.Conflict: 1, fault.Overloaded: 1, fault.StorageFull: 1, fault.Unavailable: 1, fault.DeadlineExceeded: 1, fault.Internal: 1, fault.Canceled: 1,
	} {
		w := newWorld(t, nil)
		w.tasks.create = func(context.Context, taskdb.NewTask) (taskdb.Task, error) {
			return taskdb.Task{}, fault.New(kind, "no")
		}
		_, err := w.NewImage(t.Context(), upload("original"))
		require.Equal(t, kind, fault.KindOf(err))
		require.Equal(t, left, w.originals(t), kind)
	}
}

func TestAClientThatHangsUpAfterItsLastByteIsStillServed(t *testing.T) {
	w := newWorld(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	w.blobs.put = func(ctx context.Context, ref storage.Ref, r io.Reader, opt storage.PutOptions) (storage.Info, error) {
		defer cancel()
		return w.blobs.Store.Put(ctx, ref, r, opt)
	}
	acc, err := w.NewImage(ctx, upload("original"))
	require.NoError(t, err)
	_, err = w.tasks.Get(t.Context(), acc.ID)
	require.NoError(t, err)
}

func TestTasksOfACallerThatLeftAreReleased(t *testing.T) {
	w := newWorld(t, nil)
	id := w.take(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.tasks.claim = func(ctx context.Context, c taskdb.Claim) ([]taskdb.Task, error) {
		defer cancel()
		return w.tasks.Store.Claim(ctx, c)
	}
	_, err := w.GetWork(ctx, imagemaster.WorkRequest{Worker: "w", Max: 1})
	require.ErrorIs(t, err, context.Canceled)
	task, err := w.tasks.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, taskdb.NotStarted, task.State)
	require.Zero(t, task.Tries)
}

func TestAWakeUpThatIsNotUsedIsPassedOn(t *testing.T) {
	w := newWorld(t, func(c *imagemaster.Config) { c.Poll = time.Minute })
	run(t, w.Service)
	claims := make(chan string, 16)
	var full atomic.Bool
	w.tasks.claim = func(_ context.Context, c taskdb.Claim) ([]taskdb.Task, error) {
		claims <- c.Worker
		if full.Load() {
			return []taskdb.Task{{ID: "t", Attempt: 1}}, nil
		}
		return nil, nil
	}
	second, third := make(chan error, 1), make(chan error, 1)
	ask := func(worker string, done chan<- error) {
		_, err := w.GetWork(t.Context(), imagemaster.WorkRequest{Worker: worker, Max: 1, Wait: time.Hour})
		done <- err
	}
	go ask("second", second)
	require.Equal(t, "second", receive(t, claims))
	go ask("third", third)
	require.Equal(t, "third", receive(t, claims))

	// One event; each that takes as much as it can wakes the next one in the queue.
	full.Store(true)
	w.bus.Publish(events.Event{Kind: events.Queued, TaskID: "t"})
	require.NoError(t, receive(t, second))
	require.NoError(t, receive(t, third))
}

// run runs the service until the test ends, or stop is called.
func run(t *testing.T, s *imagemaster.Service) (stop func(), done <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended, errs := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(ended)
		errs <- s.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	require.Eventually(t, func() bool { return s.URL() != "" }, patience, tick)
	return cancel, errs
}

func TestAnEventWakesBeforeThePoll(t *testing.T) {
	w := newWorld(t, func(c *imagemaster.Config) { c.Poll = time.Minute })
	run(t, w.Service)
	id := w.foreign(t)
	gets := make(chan struct{}, 16)
	w.tasks.get = func(ctx context.Context, id string) (taskdb.Task, error) {
		defer func() { gets <- struct{}{} }()
		return w.tasks.Store.Get(ctx, id)
	}
	statuses := make(chan imagemaster.Status, 1)
	go func() {
		st, err := w.IsReady(t.Context(), id, time.Hour)
		if err == nil {
			statuses <- st
		}
	}()
	receive(t, gets)
	_, err := w.tasks.Cancel(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, imagemaster.StateCancelled, receive(t, statuses).State)
	require.Empty(t, gets, "the event carried the task")
}

func TestLongPollsEndWhenTheMasterStops(t *testing.T) {
	w := newWorld(t, func(c *imagemaster.Config) { c.Poll = time.Minute })
	stop, done := run(t, w.Service)
	id := w.foreign(t)
	gets, claims := make(chan struct{}, 16), make(chan struct{}, 16)
	w.tasks.get = func(ctx context.Context, id string) (taskdb.Task, error) {
		defer func() { gets <- struct{}{} }()
		return w.tasks.Store.Get(ctx, id)
	}
	w.tasks.claim = func(context.Context, taskdb.Claim) ([]taskdb.Task, error) {
		claims <- struct{}{}
		return nil, nil
	}
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	c := imagemaster.NewClient(w.URL(), &http.Client{Transport: tr})
	errs := make(chan error, 2)
	go func() { _, err := c.IsReady(context.WithoutCancel(t.Context()), id, time.Hour); errs <- err }()
	go func() {
		_, err := c.GetWork(context.WithoutCancel(t.Context()), imagemaster.WorkRequest{Worker: "w", Max: 1, Wait: time.Hour})
		errs <- err
	}()
	receive(t, gets)
	receive(t, claims)
	stop()
	require.NoError(t, receive(t, errs))
	require.NoError(t, receive(t, errs))
	require.NoError(t, receive(t, done))
}

func TestRunningMasterEndsLeasesAndSweeps(t *testing.T) {
	bus := events.NewMemory()
	dcfg := taskdb.DefaultConfig()
	dcfg.Lease = 10 * time.Millisecond
	store := taskdb.NewMemory(dcfg, taskdb.MemoryDeps{Events: bus})
	mem := &blobs{Store: storage.NewMem(), age: 2 * time.Hour}
	cfg := testConfig()
	cfg.SweepEvery, cfg.RecordTimeout = tick, tick
	s := newService(t, cfg, testDeps(store, mem, bus))
	// By one that has more time for it.
	acc, err := newService(t, testConfig(), testDeps(store, mem, bus)).NewImage(t.Context(), upload("original"))
	require.NoError(t, err)
	_, err = store.Claim(t.Context(), taskdb.Claim{Worker: "dead", Max: 1})
	require.NoError(t, err)
	orphan := imagemaster.OriginalRef(uuid.Must(uuid.NewV7()).String())
	_, err = mem.Put(t.Context(), orphan, strings.NewReader("x"), storage.PutOptions{Size: 1})
	require.NoError(t, err)
	run(t, s)
	require.Eventually(t, func() bool {
		task, err := store.Get(t.Context(), acc.ID)
		_, serr := mem.Stat(t.Context(), orphan)
		return err == nil && task.Deaths == 1 && fault.Is(serr, fault.NotFound)
	}, patience, tick)
	_, err = mem.Stat(t.Context(), imagemaster.OriginalRef(acc.ID))
	require.NoError(t, err)
}

func TestNewChecks(t *testing.T) {
	_, err := imagemaster.New(testConfig(), imagemaster.Deps{})
	require.ErrorContains(t, err, "Deps needs")
	for setting, spoil := range map[string]func(*imagemaster.Config){
		"LISTEN":       func(c *imagemaster.Config) { c.Serve.Listen = "nowhere" },
		"POLL":         func(c *imagemaster.Config) { c.Poll = 0 },
		"EXPIRE_EVERY": func(c *imagemaster.Config) { c.ExpireEvery = time.Hour },
		"LEASE":        func(c *imagemaster.Config) { c.Lease = 0 },
		"SWEEP_EVERY":  func(c *imagemaster.Config) { c.SweepEvery = -1 },
		"ORPHAN_AGE":   func(c *imagemaster.Config) { c.OrphanAge = c.RecordTimeout },
	} {
		cfg := testConfig()
		spoil(&cfg)
		require.ErrorContains(t, cfg.Validate(), setting)
	}
	require.NoError(t, imagemaster.DefaultConfig().Validate())
}

func TestAMasterThatIsAway(t *testing.T) {
	c := imagemaster.NewClient("http://imagemaster", &http.Client{Transport: away{}})
	_, err := c.NewImage(t.Context(), upload("original"))
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	err = c.WorkReleased(t.Context(), taskdb.Lease{ID: "x", Attempt: 3})
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.IsReady(ctx, "x", 0)
	require.ErrorIs(t, err, context.Canceled)
}

// away is a network without anybody.
type away struct{}

func (away) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return nil, errors.New("nobody is there")
}
