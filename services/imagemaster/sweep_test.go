package imagemaster_test

import (
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
