package imagemaster_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/taskdbtest"
)

const engineOne, engineTwo = "imaging//1", "imaging//2"

// patiently leaves the time for copying that a busy machine may take.
func patiently(c *imagemaster.Config) { c.RecordTimeout = 10 * time.Minute }

// twin uploads a picture whose work may be spared.
func (w *world) twin(t *testing.T, body string, change ...func(*imagemaster.Upload)) imagemaster.Accepted {
	t.Helper()
	u := upload(body)
	u.Dedupe = true
	for _, c := range change {
		c(&u)
	}
	acc, err := w.NewImage(t.Context(), u)
	require.NoError(t, err)
	return acc
}

// ask asks for up to most tasks without waiting.
func (w *world) ask(t *testing.T, engine string, most int) []imagemaster.Work {
	t.Helper()
	work, err := w.GetWork(t.Context(), imagemaster.WorkRequest{Worker: "w", Max: most, Engine: engine})
	require.NoError(t, err)
	return work
}

// finishBy ends work as a worker with an engine would, with content as the result.
func (w *world) finishBy(t *testing.T, work imagemaster.Work, engine, content string) {
	t.Helper()
	ref := imagemaster.RenditionRef(work.ID, work.Attempt, "default")
	info, err := w.blobs.Put(t.Context(), ref, strings.NewReader(content), storage.PutOptions{Size: int64(len(content))})
	require.NoError(t, err)
	require.NoError(t, w.WorkFinished(t.Context(), imagemaster.FinishedWork{ID: work.ID, Result: taskdb.Result{
		Attempt: work.Attempt, Worker: "w", EngineVersion: engine, Format: "png", Width: 1, Height: 1,
		Renditions: []taskdb.Rendition{{
			Name: "default", Format: "png", Width: 1, Height: 1,
			Blob: taskdb.Blob{Key: ref.Key, Size: info.Size, SHA256: info.SHA256, ContentType: "image/png"},
		}},
	}}))
}

func (w *world) requireContent(t *testing.T, id, want string) {
	t.Helper()
	got, err := w.download(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestATwinOfAFinishedImageIsFinishedAtOnce(t *testing.T) {
	w := newWorld(t, patiently)
	first := w.twin(t, "original")
	require.Empty(t, first.State)
	w.finishBy(t, w.ask(t, engineOne, 1)[0], engineOne, "made")
	second := w.twin(t, "original")
	require.Equal(t, imagemaster.StateFinished, second.State)
	require.NotEqual(t, first.ID, second.ID)
	st, err := w.IsReady(t.Context(), second.ID, time.Hour)
	require.NoError(t, err)
	require.Equal(t, imagemaster.StateFinished, st.State)
	w.requireContent(t, second.ID, "made")
	require.Empty(t, w.ask(t, engineOne, 8))

	// Deleting either leaves the other.
	require.NoError(t, w.Delete(t.Context(), "", first.ID))
	w.requireContent(t, second.ID, "made")
	third := w.twin(t, "original")
	require.Equal(t, imagemaster.StateFinished, third.State)
	require.NoError(t, w.Delete(t.Context(), "", second.ID))
	w.requireContent(t, third.ID, "made")
}

func TestWhatIsNoTwin(t *testing.T) {
	w := newWorld(t, patiently)
	w.twin(t, "original")
	w.finishBy(t, w.ask(t, engineOne, 1)[0], engineOne, "made")
	for name, acc := range map[string]imagemaster.Accepted{
		"other bytes":         w.twin(t, "another"),
		"another owner":       w.twin(t, "original", func(u *imagemaster.Upload) { u.Owner = "a" }),
		"not asked for":       w.twin(t, "original", func(u *imagemaster.Upload) { u.Dedupe = false }),
		"scheduled for later": w.twin(t, "original", func(u *imagemaster.Upload) { u.Delay = time.Hour }),
		"another pipeline": w.twin(t, "original", func(u *imagemaster.Upload) {
			u.Pipeline = []byte(`{"version":1,"renditions":[{"name":"other","format":"png"}]}`)
		}),
	} {
		require.Empty(t, acc.State, name)
	}
	require.Len(t, w.ask(t, engineOne, 8), 4, "all but the one for later")
}

func TestAResultOfAnotherEngineIsNoneToCopy(t *testing.T) {
	w := newWorld(t, patiently)
	w.twin(t, "original")
	w.finishBy(t, w.ask(t, engineOne, 1)[0], engineOne, "made by one")
	w.clock.Advance(time.Hour) // no worker with it has asked for long
	require.Empty(t, w.twin(t, "original").State)
	work := w.ask(t, engineTwo, 8)
	require.Len(t, work, 1)
	w.finishBy(t, work[0], engineTwo, "made by two")
	again := w.twin(t, "original")
	require.Equal(t, imagemaster.StateFinished, again.State)
	w.requireContent(t, again.ID, "made by two")

	// What no engine is known of is never copied.
	w = newWorld(t, patiently)
	w.twin(t, "original")
	w.finishBy(t, w.ask(t, "", 1)[0], "", "made")
	require.Empty(t, w.twin(t, "original").State)
}

func TestTwinsInFlightAreWorkedOnce(t *testing.T) {
	w := newWorld(t, patiently)
	run(t, w.Service)
	const images = 40
	ids := make([]string, images)
	for i := range ids {
		ids[i] = w.twin(t, "original").ID
	}
	work := w.ask(t, engineOne, 8)
	require.Len(t, work, 1, "one of the twins")
	require.Empty(t, w.ask(t, engineOne, 8), "the others wait for it")
	w.finishBy(t, work[0], engineOne, "made")
	// The pauses end by themselves, and nothing is left to work.
	for end := time.Now().Add(patience); ; {
		more, err := w.GetWork(t.Context(), imagemaster.WorkRequest{Worker: "w", Max: 8, Engine: engineOne, Wait: 2 * time.Second})
		require.NoError(t, err)
		require.Empty(t, more)
		st, err := w.tasks.Stats(t.Context())
		require.NoError(t, err)
		if st.States[taskdb.Finished] == images {
			break
		}
		require.True(t, time.Now().Before(end), "%v", st.States)
	}
	for _, id := range ids {
		st, err := w.IsReady(t.Context(), id, time.Hour)
		require.NoError(t, err)
		require.Equal(t, imagemaster.StateFinished, st.State)
		w.requireContent(t, id, "made")
	}
}

// A twin that fails, or is cancelled, holds nobody up.
func TestATwinThatFailsLeavesTheWorkToTheNext(t *testing.T) {
	w := newWorld(t, patiently)
	run(t, w.Service)
	for range 3 {
		w.twin(t, "original")
	}
	for range 3 {
		work, err := w.GetWork(t.Context(), imagemaster.WorkRequest{Worker: "w", Max: 8, Engine: engineOne, Wait: time.Minute})
		require.NoError(t, err)
		require.Len(t, work, 1)
		require.NoError(t, w.WorkFailed(t.Context(), imagemaster.FailedWork{ID: work[0].ID, Attempt: work[0].Attempt, Worker: "w", Reason: "no picture"}))
	}
}

// Many ask at once, also at two masters: no two twins are handed out together.
func TestNoTwoTwinsAreHandedOutTogether(t *testing.T) {
	w := newWorld(t, patiently)
	for range 64 {
		w.twin(t, "original")
	}
	var mu sync.Mutex
	var all []imagemaster.Work
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			work, err := w.GetWork(context.WithoutCancel(t.Context()), imagemaster.WorkRequest{Worker: "w", Max: 3, Engine: engineOne})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				all = append(all, work...)
			}
		})
	}
	wg.Wait()
	require.Len(t, all, 1)
}

func TestAnUploadWhoseTwinCannotBeHadIsWorked(t *testing.T) {
	w := newWorld(t, patiently)
	first := w.twin(t, "original")
	w.finishBy(t, w.ask(t, engineOne, 1)[0], engineOne, "made")
	ref := imagemaster.RenditionRef(first.ID, 1, "default")

	// Its result is gone, as by a deletion at this moment.
	require.NoError(t, w.blobs.Store.Delete(t.Context(), ref))
	require.Empty(t, w.twin(t, "original").State)
	require.Len(t, w.ask(t, engineOne, 8), 1)

	// It is another than was recorded.
	_, err := w.blobs.Store.Put(t.Context(), ref, strings.NewReader("other"), storage.PutOptions{Size: -1})
	require.NoError(t, err)
	second := w.twin(t, "original")
	require.Empty(t, second.State)
	require.False(t, w.has(t, imagemaster.RenditionRef(second.ID, 1, "default")))

	// The storage takes no copy.
	w.blobs.put = func(ctx context.Context, ref storage.Ref, r io.Reader, opt storage.PutOptions) (storage.Info, error) {
		if ref.State == storage.Finished {
			return storage.Info{}, fault.New(fault.StorageFull, "full")
		}
		return w.blobs.Store.Put(ctx, ref, r, opt)
	}
	require.Empty(t, w.twin(t, "original").State)
}

// What was copied for an upload that is not recorded does not stay.
func TestACopyForNothingIsRemoved(t *testing.T) {
	w := newWorld(t, patiently)
	w.twin(t, "original")
	w.finishBy(t, w.ask(t, engineOne, 1)[0], engineOne, "made")
	blobs := func() int {
		n := 0
		for _, state := range []storage.State{storage.InProgress, storage.Finished} {
			p, err := w.blobs.List(t.Context(), state, "", 0)
			require.NoError(t, err)
			n += len(p.Blobs)
		}
		return n
	}
	before := blobs()
	for _, tc := range []struct {
		kind fault.Kind
		left int
	}{{fault.Unprocessable, 0}, {fault.Unavailable, 2}, {fault.Overloaded, 2}} { // those may have been recorded
		w.tasks.create = func(context.Context, taskdb.NewTask) (taskdb.Task, error) {
			return taskdb.Task{}, fault.New(tc.kind, "no")
		}
		u := upload("original")
		u.Dedupe = true
		_, err := w.NewImage(t.Context(), u)
		require.True(t, fault.Is(err, tc.kind), "%v", err)
		require.Equal(t, before+tc.left, blobs(), tc.kind)
		before += tc.left
	}
}

// Where one of several renditions cannot be copied, those that were do not stay, and
// an older twin is not asked when the storage is in trouble.
func TestAHalfCopiedResultIsRemoved(t *testing.T) {
	w := newWorld(t, patiently)
	first := w.twin(t, "original")
	work := w.ask(t, engineOne, 1)[0]
	var made []taskdb.Rendition
	for _, name := range []string{"large", "small"} {
		ref := imagemaster.RenditionRef(work.ID, work.Attempt, name)
		info, err := w.blobs.Put(t.Context(), ref, strings.NewReader(name), storage.PutOptions{Size: -1})
		require.NoError(t, err)
		made = append(made, taskdb.Rendition{
			Name: name, Format: "png", Width: 1, Height: 1,
			Blob: taskdb.Blob{Key: ref.Key, Size: info.Size, SHA256: info.SHA256, ContentType: "image/png"},
		})
	}
	require.NoError(t, w.WorkFinished(t.Context(), imagemaster.FinishedWork{ID: work.ID, Result: taskdb.Result{
		Attempt: work.Attempt, Worker: "w", EngineVersion: engineOne, Format: "png", Width: 1, Height: 1, Renditions: made,
	}}))
	finished := func() []string {
		p, err := w.blobs.List(t.Context(), storage.Finished, "", 0)
		require.NoError(t, err)
		var keys []string
		for _, b := range p.Blobs {
			keys = append(keys, b.Key)
		}
		return keys
	}
	before := finished()
	require.Len(t, before, 2)

	// The second copy finds the storage full, once the first is there.
	w.blobs.put = func(ctx context.Context, ref storage.Ref, r io.Reader, opt storage.PutOptions) (storage.Info, error) {
		if ref.State == storage.Finished && !strings.HasSuffix(ref.Key, "large") {
			for len(finished()) < 3 {
				if ctx.Err() != nil {
					return storage.Info{}, ctx.Err()
				}
			}
			return storage.Info{}, fault.New(fault.StorageFull, "full")
		}
		return w.blobs.Store.Put(ctx, ref, r, opt)
	}
	require.Empty(t, w.twin(t, "original").State)
	require.Equal(t, before, finished())

	// The second original is gone, once the first copy is there.
	w.blobs.put = nil
	require.NoError(t, w.blobs.Store.Delete(t.Context(), imagemaster.RenditionRef(first.ID, 1, "small")))
	require.Empty(t, w.twin(t, "original").State)
	require.Equal(t, before[:1], finished())
}

// recording is a Recorder made of a function.
type recording func(context.Context, ...taskdb.Record) []error

func (f recording) Record(ctx context.Context, all ...taskdb.Record) []error { return f(ctx, all...) }

// Whether or not taskdb carried out what it did not answer, the task is not handed
// out, its result stays while it is needed, and goes when it is not.
func TestATaskThatMayHaveEndedIsNotHandedOut(t *testing.T) {
	for name, carriedOut := range map[string]bool{"it has ended": true, "it has not": false} {
		t.Run(name, func(t *testing.T) {
			w := newOldWorld(t)
			var doubt bool
			records := taskdb.RecorderOf(w.tasks)
			deps := testDeps(w.tasks, w.blobs, w.bus)
			deps.Now = w.clock.Now
			deps.Records = recording(func(ctx context.Context, all ...taskdb.Record) []error {
				if !doubt {
					return records.Record(ctx, all...)
				}
				if carriedOut {
					require.Equal(t, []error{nil}, records.Record(ctx, all...))
				}
				return []error{fault.New(fault.Unavailable, "the task database does not answer in time")}
			})
			w.Service = newService(t, testConfig(), deps)
			w.twin(t, "original")
			second := w.twin(t, "original").ID
			w.finishBy(t, w.ask(t, engineOne, 1)[0], engineOne, "made")
			doubt = true
			require.Empty(t, w.ask(t, engineOne, 8))
			ref := imagemaster.RenditionRef(second, 1, "default")
			require.True(t, w.has(t, ref))
			w.sweepTwice(t)
			require.Equal(t, carriedOut, w.has(t, ref))
			if carriedOut {
				w.requireContent(t, second, "made")
				return
			}
			task, err := w.tasks.Get(t.Context(), second)
			require.NoError(t, err)
			require.Equal(t, taskdb.NotStarted, task.State)
			require.Zero(t, task.Tries)
			require.False(t, task.NotBefore.IsZero(), "not again at once")
		})
	}
}

// hang lets every reading of a result hang until its caller leaves.
func (w *world) hang() {
	w.blobs.get = func(ctx context.Context, ref storage.Ref, span storage.Span) (storage.Object, error) {
		if ref.State != storage.Finished {
			return w.blobs.Store.Get(ctx, ref, span)
		}
		<-ctx.Done()
		return storage.Object{}, ctx.Err()
	}
}

// A storage that hangs costs nobody a lease: neither those that were claimed beside the
// twin, nor in the end the twin, which is worked itself.
func TestNoLeaseRunsOutWhileATwinIsCopied(t *testing.T) {
	w := newWorld(t, func(c *imagemaster.Config) { c.Lease = 200 * time.Millisecond })
	w.twin(t, "original")
	twin := w.twin(t, "original").ID
	w.finishBy(t, w.ask(t, engineOne, 1)[0], engineOne, "made")
	plain := w.take(t)
	w.hang()
	first := w.ask(t, engineOne, 8)
	require.Len(t, first, 1)
	require.Equal(t, plain, first[0].ID, "at once")
	var second []imagemaster.Work
	require.Eventually(t, func() bool {
		second = w.ask(t, engineOne, 8)
		return len(second) > 0
	}, patience, tick)
	require.Len(t, second, 1)
	require.Equal(t, twin, second[0].ID)
	for _, work := range append(first, second...) {
		require.Positive(t, work.LeaseMillis)
		require.Less(t, work.LeaseMillis, int64(200), "what is left of it")
		require.NoError(t, w.WorkProgress(t.Context(), imagemaster.ProgressReport{ID: work.ID, Attempt: work.Attempt}))
		task, err := w.tasks.Get(t.Context(), work.ID)
		require.NoError(t, err)
		require.Zero(t, task.Tries)
	}
}

// One owner has many twins of an image that is at work: more than can be looked at
// before the first of them come back. Another owner's image is handed out all the same.
func TestTwinsThatWaitKeepNobodyWaiting(t *testing.T) {
	w := newWorld(t, patiently)
	clock := taskdbtest.NewClock()
	w.tasks.Store = taskdb.NewMemory(tasksConfig(), taskdb.MemoryDeps{Events: w.bus, Now: clock.Now})
	for range 100 {
		w.twin(t, "original", func(u *imagemaster.Upload) { u.Owner = "a" })
	}
	busy := w.ask(t, engineOne, 1)[0]
	claims := 0
	w.tasks.claim = func(ctx context.Context, c taskdb.Claim) ([]taskdb.Task, error) {
		claims++
		clock.Advance(100 * time.Millisecond)
		require.NoError(t, w.WorkProgress(ctx, imagemaster.ProgressReport{ID: busy.ID, Attempt: busy.Attempt}))
		return w.tasks.Store.Claim(ctx, c)
	}
	for claims < 150 {
		before := claims
		require.Empty(t, w.ask(t, engineOne, 1))
		require.LessOrEqual(t, claims-before, 8, "it does not look for ever")
	}
	u := upload("another")
	u.Owner = "b"
	acc, err := w.NewImage(t.Context(), u)
	require.NoError(t, err)
	claims = 0
	work := w.ask(t, engineOne, 1)
	require.Len(t, work, 1)
	require.Equal(t, acc.ID, work[0].ID)
	require.LessOrEqual(t, claims, 2, "it is handed out second")
}

func TestAnUploadWhoseTwinHangsIsWorked(t *testing.T) {
	w := newWorld(t, func(c *imagemaster.Config) { c.RecordTimeout = time.Second })
	take := func() (acc imagemaster.Accepted) {
		require.Eventually(t, func() bool { // a busy machine may take longer than that for a moment
			u := upload("original")
			u.Dedupe = true
			var err error
			acc, err = w.NewImage(t.Context(), u)
			return err == nil
		}, patience, tick)
		return acc
	}
	take()
	w.finishBy(t, w.ask(t, engineOne, 1)[0], engineOne, "made")
	w.hang()
	require.Empty(t, take().State)
}

// A master that is set for longer leases than taskdb gives goes by taskdb's.
func TestWorkersAreToldOfTheLeaseThatTheyHave(t *testing.T) {
	w := newWorld(t, patiently)
	cfg := taskdb.DefaultConfig()
	cfg.Lease = time.Second
	w.tasks.Store = taskdb.NewMemory(cfg, taskdb.MemoryDeps{})
	w.take(t)
	work := w.ask(t, engineOne, 1)
	require.Len(t, work, 1)
	require.Positive(t, work[0].LeaseMillis)
	require.LessOrEqual(t, work[0].LeaseMillis, int64(1000))
}
