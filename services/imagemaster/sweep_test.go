package imagemaster_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

func (w *world) store(t *testing.T, ref storage.Ref) storage.Ref {
	t.Helper()
	_, err := w.blobs.Store.Put(t.Context(), ref, strings.NewReader("x"), storage.PutOptions{Size: 1})
	require.NoError(t, err)
	return ref
}

func (w *world) has(t *testing.T, ref storage.Ref) bool {
	t.Helper()
	_, err := w.blobs.Stat(t.Context(), ref)
	if fault.Is(err, fault.NotFound) {
		return false
	}
	require.NoError(t, err)
	return true
}

// sweepTwice sweeps, lets enough time pass, and sweeps again.
func (w *world) sweepTwice(t *testing.T) int {
	t.Helper()
	n, err := w.SweepOrphans(t.Context(), time.Time{})
	require.NoError(t, err)
	w.clock.Advance(time.Minute)
	m, err := w.SweepOrphans(t.Context(), time.Time{})
	require.NoError(t, err)
	return n + m
}

// newOldWorld is a world whose blobs are older than OrphanAge.
func newOldWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, nil)
	w.blobs.age = 2 * time.Hour
	return w
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

func TestOrphansAreSweptByAge(t *testing.T) {
	young, old := newWorld(t, nil), newOldWorld(t)
	for _, w := range []*world{young, old} {
		kept := imagemaster.OriginalRef(w.take(t))
		original := w.store(t, imagemaster.OriginalRef(newID()))
		rendition := w.store(t, imagemaster.RenditionRef(newID(), 1, "a"))
		foreign := w.store(t, storage.Ref{State: storage.InProgress, Key: "not-ours"})
		foreign2 := w.store(t, storage.Ref{State: storage.Finished, Key: "not-ours"})
		n := w.sweepTwice(t)
		if w == young {
			require.Zero(t, n)
		} else {
			require.Equal(t, 2, n)
		}
		require.Equal(t, w == young, w.has(t, original))
		require.Equal(t, w == young, w.has(t, rendition))
		for _, ref := range []storage.Ref{kept, foreign, foreign2} {
			require.True(t, w.has(t, ref), ref)
		}
	}
}

func TestTheWinnerIsNeverSwept(t *testing.T) {
	w := newOldWorld(t)
	id := w.take(t)
	for range 2 {
		_, err := w.tasks.Claim(t.Context(), taskdb.Claim{Worker: "w", Max: 1})
		require.NoError(t, err)
		task, err := w.tasks.Get(t.Context(), id)
		require.NoError(t, err)
		if task.Attempt == 1 {
			require.NoError(t, w.tasks.Release(t.Context(), taskdb.Lease{ID: id, Attempt: 1}))
		}
	}
	lost, winner := w.store(t, imagemaster.RenditionRef(id, 1, "a")), w.store(t, imagemaster.RenditionRef(id, 2, "a"))
	for range 2 { // while it is at work, and after
		_, err := w.SweepOrphans(t.Context(), time.Time{})
		require.NoError(t, err)
		require.False(t, w.has(t, lost))
		require.True(t, w.has(t, winner))
		_, err = w.tasks.Finish(t.Context(), id, taskdb.Result{
			Attempt: 2, Renditions: []taskdb.Rendition{{Name: "a", Blob: taskdb.Blob{Key: winner.Key, Size: 1, SHA256: strings.Repeat("0", 64)}}},
		})
		require.NoError(t, err)
	}
	n, err := w.SweepOrphans(t.Context(), time.Time{})
	require.NoError(t, err)
	require.Zero(t, n, "a repeat finds nothing")
}

func TestASweepReadsATaskOnceForAllItsRenditions(t *testing.T) {
	w := newOldWorld(t)
	first, second := w.take(t), w.take(t)
	for _, id := range []string{first, second} {
		for _, name := range []string{"a", "b", "c"} {
			w.store(t, imagemaster.RenditionRef(id, 1, name))
		}
	}
	read := map[string]int{}
	w.tasks.get = func(ctx context.Context, id string) (taskdb.Task, error) {
		read[id]++
		return w.tasks.Store.Get(ctx, id)
	}
	n, err := w.SweepOrphans(t.Context(), time.Time{})
	require.NoError(t, err)
	require.Zero(t, n, "the first attempt may yet come")
	require.Equal(t, map[string]int{first: 2, second: 2}, read, "once for the original, once for its renditions")
}

func TestASweepLooksNoFurtherBackThanItIsTold(t *testing.T) {
	w := newOldWorld(t)
	ref := w.store(t, imagemaster.OriginalRef("01890a5d-ac96-774b-bcce-b302099a8057"))
	for range 2 {
		n, err := w.SweepOrphans(t.Context(), time.Now().Add(-time.Hour))
		require.NoError(t, err)
		require.Zero(t, n)
		w.clock.Advance(time.Hour)
	}
	require.True(t, w.has(t, ref))
}

// A master that is killed after it has removed a task, and before its blobs, leaves
// them to the sweeper; so does a storage that cannot be reached then.
func TestWhatADeletionLeavesIsSwept(t *testing.T) {
	for name, remove := range map[string]func(*world, string) error{
		"killed in between": func(w *world, id string) error {
			_, err := w.tasks.Delete(t.Context(), id)
			return err
		},
		"storage is away": func(w *world, id string) error {
			w.blobs.delete = fault.New(fault.Unavailable, "away")
			defer func() { w.blobs.delete = nil }()
			return w.Delete(t.Context(), "", id)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newOldWorld(t)
			kept, gone := w.finish(t), w.finish(t)
			require.NoError(t, remove(w, gone))
			_, err := w.IsReady(t.Context(), gone, 0)
			require.Equal(t, fault.NotFound, fault.KindOf(err), "%v", err)
			require.True(t, w.has(t, imagemaster.OriginalRef(gone)))
			require.Equal(t, 2, w.sweepTwice(t))
			for _, id := range []string{kept, gone} {
				require.Equal(t, id == kept, w.has(t, imagemaster.OriginalRef(id)))
				require.Equal(t, id == kept, w.has(t, imagemaster.RenditionRef(id, 1, "a")))
			}
		})
	}
}

// finish gives an image with one rendition.
func (w *world) finish(t *testing.T) string {
	t.Helper()
	id := w.take(t)
	_, err := w.tasks.Claim(t.Context(), taskdb.Claim{Worker: "w", Max: 1})
	require.NoError(t, err)
	ref := w.store(t, imagemaster.RenditionRef(id, 1, "a"))
	_, err = w.tasks.Finish(t.Context(), id, taskdb.Result{
		Attempt: 1, Renditions: []taskdb.Rendition{{Name: "a", Blob: taskdb.Blob{Key: ref.Key, Size: 1, SHA256: strings.Repeat("0", 64)}}},
	})
	require.NoError(t, err)
	return id
}

// A first attempt that died between the blob and the task, or of which nobody knows
// whether it was recorded, is sent again with its key: there is one image, and the
// blob of the other is an orphan.
func TestARepeatAfterAnUploadThatBroke(t *testing.T) {
	for name, recorded := range map[string]bool{"not recorded": false, "recorded, and not told": true} {
		t.Run(name, func(t *testing.T) {
			w := newOldWorld(t)
			var first string
			w.tasks.create = func(ctx context.Context, n taskdb.NewTask) (taskdb.Task, error) {
				first = n.ID
				if recorded {
					_, err := w.tasks.Store.Create(ctx, n)
					require.NoError(t, err)
				}
				return taskdb.Task{}, fault.New(fault.Unavailable, "the connection broke")
			}
			send := func() (imagemaster.Accepted, error) {
				u := upload("original")
				u.IdempotencyKey = "a key"
				return w.NewImage(t.Context(), u)
			}
			_, err := send()
			require.Equal(t, fault.Unavailable, fault.KindOf(err), "%v", err)
			w.tasks.create = nil
			acc, err := send()
			require.NoError(t, err)
			require.Equal(t, recorded, acc.ID == first)
			again, err := send()
			require.NoError(t, err)
			require.Equal(t, acc, again)
			swept := 1
			if recorded {
				swept = 0
			}
			require.Equal(t, swept, w.sweepTwice(t))
			require.True(t, w.has(t, imagemaster.OriginalRef(acc.ID)))
		})
	}
}

// A sweep over very many blobs takes long, and a purge may: leases that run out
// meanwhile are ended all the same, and images that are due removed.
func TestASweepHoldsNothingElseUp(t *testing.T) {
	w := newWorld(t, func(c *imagemaster.Config) {
		c.SweepEvery, c.PurgeEvery, c.ExpireEvery = time.Millisecond, time.Millisecond, 10*time.Millisecond
	})
	sweeping := make(chan struct{}, 1)
	w.blobs.hold = func(ctx context.Context) {
		select {
		case sweeping <- struct{}{}:
		default:
		}
		<-ctx.Done()
	}
	looks, purged := make(chan struct{}, 1), make(chan struct{}, 1)
	tell := func(ch chan<- struct{}) { // and hold nobody up
		select {
		case ch <- struct{}{}:
		default:
		}
	}
	w.tasks.expire = func(context.Context) (taskdb.Expiry, error) {
		tell(looks)
		return taskdb.Expiry{}, nil
	}
	w.tasks.purge = func() { tell(purged) }
	run(t, w.Service)
	receive(t, sweeping)
	for range 3 { // one may have been told before, and one have begun
		receive(t, looks)
		receive(t, purged)
	}
}

// What cannot be read, or not be removed, hides none of the orphans behind it, however
// often it is met.
func TestOneBadBlobHidesNoOrphan(t *testing.T) {
	w := newOldWorld(t)
	bad := w.take(t)
	for n := range 26 {
		w.store(t, imagemaster.RenditionRef(bad, 1, string(rune('a'+n))))
	}
	stuck := w.store(t, imagemaster.OriginalRef(newID()))
	orphans := []storage.Ref{w.store(t, imagemaster.OriginalRef(newID())), w.store(t, imagemaster.RenditionRef(newID(), 1, "a"))}
	decode, busy := errors.New("decode result"), errors.New("the file is in use")
	w.tasks.get = func(ctx context.Context, id string) (taskdb.Task, error) {
		if id == bad {
			return taskdb.Task{}, decode
		}
		return w.tasks.Store.Get(ctx, id)
	}
	w.blobs.refuse = func(ref storage.Ref) error {
		if ref == stuck {
			return busy
		}
		return nil
	}
	_, err := w.SweepOrphans(t.Context(), time.Time{})
	require.ErrorIs(t, err, decode)
	w.clock.Advance(time.Minute)
	n, err := w.SweepOrphans(t.Context(), time.Time{})
	require.ErrorIs(t, err, decode)
	require.Equal(t, len(orphans), n)
	for _, ref := range orphans {
		require.False(t, w.has(t, ref))
	}
	w.tasks.get, w.blobs.refuse = nil, nil
	n, err = w.SweepOrphans(t.Context(), time.Time{})
	require.NoError(t, err)
	require.Equal(t, 1, n, "the one that could not be removed")
}

// A taskdb that is away is not asked about all there is.
func TestASweepGivesUpWhenTheOtherSideIsAway(t *testing.T) {
	w := newOldWorld(t)
	for range 100 {
		w.store(t, imagemaster.OriginalRef(newID()))
	}
	asked := 0
	w.tasks.get = func(context.Context, string) (taskdb.Task, error) {
		asked++
		return taskdb.Task{}, fault.New(fault.Unavailable, "away")
	}
	_, err := w.SweepOrphans(t.Context(), time.Time{})
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	require.Less(t, asked, 50)
}
