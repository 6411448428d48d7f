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
)

const engineOne, engineTwo = "imaging//1", "imaging//2"

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
	w := newWorld(t, nil)
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
	w := newWorld(t, nil)
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
	w := newWorld(t, nil)
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
	w = newWorld(t, nil)
	w.twin(t, "original")
	w.finishBy(t, w.ask(t, "", 1)[0], "", "made")
	require.Empty(t, w.twin(t, "original").State)
}

func TestTwinsInFlightAreWorkedOnce(t *testing.T) {
	w := newWorld(t, nil)
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
	more, err := w.GetWork(t.Context(), imagemaster.WorkRequest{Worker: "w", Max: 8, Engine: engineOne, Wait: 2 * time.Second})
	require.NoError(t, err)
	require.Empty(t, more)
	for _, id := range ids {
		st, err := w.IsReady(t.Context(), id, time.Hour)
		require.NoError(t, err)
		require.Equal(t, imagemaster.StateFinished, st.State)
		w.requireContent(t, id, "made")
	}
}

// A twin that fails, or is cancelled, holds nobody up.
func TestATwinThatFailsLeavesTheWorkToTheNext(t *testing.T) {
	w := newWorld(t, nil)
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
	w := newWorld(t, nil)
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
	w := newWorld(t, nil)
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
	w := newWorld(t, nil)
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
	}{{fault.Overloaded, 0}, {fault.Unavailable, 2}} { // the latter may have been recorded
		w.tasks.create = func(context.Context, taskdb.NewTask) (taskdb.Task, error) {
			return taskdb.Task{}, fault.New(tc.kind, "no")
		}
		u := upload("original")
		u.Dedupe = true
		_, err := w.NewImage(t.Context(), u)
		require.True(t, fault.Is(err, tc.kind), "%v", err)
		require.Equal(t, before+tc.left, blobs(), tc.kind)
	}
}

// Where one of several renditions cannot be copied, those that were do not stay, and
// an older twin is not asked when the storage is in trouble.
func TestAHalfCopiedResultIsRemoved(t *testing.T) {
	w := newWorld(t, nil)
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
