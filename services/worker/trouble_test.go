package worker

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/worker/engine"
)

// blobsStub is a store some of whose answers a test writes itself.
type blobsStub struct {
	storage.Store
	get func(storage.Object) storage.Object
	put func(storage.Ref) error
	del func(storage.Ref) error
}

func (b *blobsStub) Get(ctx context.Context, ref storage.Ref, span storage.Span) (storage.Object, error) {
	o, err := b.Store.Get(ctx, ref, span)
	if err == nil && b.get != nil {
		o = b.get(o)
	}
	return o, err
}

func (b *blobsStub) Put(ctx context.Context, ref storage.Ref, r io.Reader, opt storage.PutOptions) (storage.Info, error) {
	if b.put != nil {
		if err := b.put(ref); err != nil {
			return storage.Info{}, err
		}
	}
	return b.Store.Put(ctx, ref, r, opt)
}

func (b *blobsStub) Delete(ctx context.Context, ref storage.Ref) error {
	if b.del != nil {
		if err := b.del(ref); err != nil {
			return err
		}
	}
	return b.Store.Delete(ctx, ref)
}

// uncheckedStub leaves the check of digests to its callers.
type uncheckedStub struct {
	*blobsStub
	get func(storage.Object) storage.Object
}

func (b *uncheckedStub) GetUnchecked(ctx context.Context, ref storage.Ref) (storage.Object, error) {
	o, err := b.Store.Get(ctx, ref, storage.Whole())
	if err == nil {
		o = b.get(o)
	}
	return o, err
}

// failed carries out one attempt, which has to fail, and gives what is told.
func (m *mill) failed(t *testing.T, work imagemaster.Work) imagemaster.FailedWork {
	t.Helper()
	m.carryOut(t.Context(), work)
	all := m.master.failures()
	require.Len(t, all, 1)
	require.Zero(t, m.results(t))
	return all[0]
}

func TestTroubleOfTheWorkerIsNotThePicturesFault(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*testing.T, *mill, *blobsStub)
		eng   render
		says  string
	}{
		"no room for a folder": {spoil: func(t *testing.T, m *mill, _ *blobsStub) {
			t.Helper()
			m.scratch.base = filepath.Join(t.TempDir(), "file")
			require.NoError(t, os.WriteFile(m.scratch.base, nil, 0o600))
		}, says: "the worker has no room to work in"},
		"the original breaks off": {spoil: func(_ *testing.T, _ *mill, b *blobsStub) {
			b.get = func(o storage.Object) storage.Object {
				o.Body = io.NopCloser(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("original"))))
				return o
			}
		}, says: "the original could not be fetched"},
		"the result is gone": {eng: func(ctx context.Context, job engine.Job) (engine.Report, error) {
			rep, err := paint(ctx, job)
			return rep, errors.Join(err, os.Remove(rep.Renditions[0].File), os.Remove(rep.Renditions[1].File))
		}, says: "the engine's result is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.eng == nil {
				c.eng = paint
			}
			m := newMill(t, c.eng, nil)
			stub := &blobsStub{Store: m.blobs}
			m.deps.Blobs = stub
			work := m.claim(t)
			if c.spoil != nil {
				c.spoil(t, m, stub)
			}
			got := m.failed(t, work)
			require.Equal(t, c.says, got.Reason)
			require.True(t, got.Retryable, "another worker may do better")
			require.False(t, got.Died)
		})
	}
}

// What was damaged on the way is fetched again, now checked by the storage.
func TestAnOriginalDamagedOnTheWay(t *testing.T) {
	var asked []string
	m := newMill(t, render(paint), nil)
	m.deps.Blobs = &uncheckedStub{blobsStub: &blobsStub{Store: m.blobs, get: func(o storage.Object) storage.Object {
		asked = append(asked, "checked")
		return o
	}}, get: func(o storage.Object) storage.Object {
		asked = append(asked, "unchecked")
		o.Body = io.NopCloser(strings.NewReader("0riginal"))
		return o
	}}
	m.carryOut(t.Context(), m.claim(t))
	require.Empty(t, m.master.failures())
	require.Equal(t, 2, m.results(t))
	require.Equal(t, []string{"unchecked", "checked"}, asked)
}

func TestAnOriginalThatIsGone(t *testing.T) {
	m := newMill(t, render(paint), nil)
	work := m.claim(t)
	require.NoError(t, m.blobs.Delete(t.Context(), imagemaster.OriginalRef(work.ID)))
	require.False(t, m.failed(t, work).Retryable, "it does not come back")
}

// A newer suite may know operations that this worker does not.
func TestAPipelineThatIsNotUnderstood(t *testing.T) {
	m := newMill(t, render(paint), nil)
	work := m.claim(t)
	work.Pipeline = []byte(`{"version":1,"renditions":[{"name":"a","operations":[{"op":"dream"}]}]}`)
	got := m.failed(t, work)
	require.Contains(t, got.Reason, "does not understand the pipeline")
	require.Contains(t, got.Reason, "dream")
	require.False(t, got.Retryable)
}

// One rendition that cannot be stored makes the attempt fail as a whole; those
// that were stored are left to the sweeper.
func TestAResultIsWholeOrNotAtAll(t *testing.T) {
	m := newMill(t, render(paint), nil)
	m.deps.Blobs = &blobsStub{Store: m.blobs, put: func(ref storage.Ref) error {
		if strings.HasSuffix(ref.Key, ".b") {
			return fault.New(fault.Unavailable, "storage is away")
		}
		return nil
	}}
	work := m.claim(t)
	m.carryOut(t.Context(), work)
	require.Len(t, m.master.failures(), 1)
	task, err := m.tasks.Get(t.Context(), work.ID)
	require.NoError(t, err)
	require.Nil(t, task.Result)
}

func TestWhatCannotBeDroppedIsLeftToTheSweeper(t *testing.T) {
	m := newMill(t, render(paint), nil)
	tried := map[string]bool{}
	m.deps.Blobs = &blobsStub{Store: m.blobs, del: func(ref storage.Ref) error {
		tried[ref.Key] = true
		return fault.New(fault.Unavailable, "storage is away")
	}}
	m.master.finished = func(imagemaster.FinishedWork) error { return fault.New(fault.Conflict, "the lease is lost") }
	m.carryOut(t.Context(), m.claim(t))
	require.Len(t, tried, 2, "the second is tried though the first could not be removed")
	require.Equal(t, 2, m.results(t))
}

func TestDefaultsFollowTheMachine(t *testing.T) {
	c := DefaultConfig()
	n := runtime.GOMAXPROCS(0)
	most := func() int { return newLive(nil, c, nil).mostInFlight() }
	require.Equal(t, []int{n, 32 * n}, []int{c.engines(), most()})
	c.Engines, c.InFlight = 3, 5
	require.Equal(t, []int{3, 5}, []int{c.engines(), most()})
	p := c.EnginePool("imagemill", "engine")
	require.Equal(t, []string{"imagemill", "engine"}, p.Command)
	require.Equal(t, 3, p.Size)
	require.Equal(t, maxWallTime, p.WallTime, "each job brings its own")
	require.Equal(t, c.Recycle, p.Recycle)
	require.EqualValues(t, c.Memory, p.MemoryBytes)
}

// Engines die of their own limit before their control group's, and what those that
// idle keep fits into it.
func TestEnginesFitIntoTheBudget(t *testing.T) {
	c := DefaultConfig()
	c.Engines, c.Budget = 2, 700<<20
	p := c.EnginePool("imagemill", "engine")
	require.EqualValues(t, 700<<20, p.MemoryBytes)
	require.EqualValues(t, (700<<20)/3, p.RecycleBytes, "two and the spare")
	c.Budget = 100 << 30
	p = c.EnginePool("imagemill", "engine")
	require.EqualValues(t, 1<<30, p.MemoryBytes)
	require.EqualValues(t, 512<<20, p.RecycleBytes)
	c.Memory, c.RecycleAt, c.Budget = 0, 5<<20, 1<<20
	p = c.EnginePool("imagemill", "engine")
	require.Zero(t, p.MemoryBytes)
	require.EqualValues(t, 5<<20, p.RecycleBytes)
}
