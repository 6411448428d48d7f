package imagemastertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// deletes has images in all states, and deletes them: nothing of them is left.
func deletes(t *testing.T, b *bench) {
	finished := b.finished(t)
	kept := b.finished(t)
	failed := b.take(t, "original")
	w := b.claim(t, "w")
	require.NoError(t, b.WorkFailed(t.Context(), imagemaster.FailedWork{ID: failed, Attempt: w.Attempt, Reason: "no image"}))
	held := b.take(t, "original")
	b.claim(t, "w")
	waiting := b.take(t, "original")
	for _, id := range []string{finished, failed, held, waiting} {
		require.NoError(t, b.Delete(t.Context(), "", id))
		require.NoError(t, b.Delete(t.Context(), "", id), "a repeat is safe")
		_, err := b.IsReady(t.Context(), id, 0)
		requireKind(t, fault.NotFound, err)
		_, err = b.Get(t.Context(), id, "", storage.Whole())
		requireKind(t, fault.NotFound, err)
	}
	require.Equal(t, 3, b.blobs(t), "those of the other image")
	img, err := b.Get(t.Context(), kept, "b", storage.Whole())
	require.NoError(t, err)
	require.Equal(t, "rendition b", body(t, img))
	mine := b.bring(t, owned("me"))
	require.NoError(t, b.Delete(t.Context(), "somebody else", mine), "as if it were unknown")
	_, err = b.IsReady(t.Context(), mine, 0)
	require.NoError(t, err, "but it is left alone")
	require.NoError(t, b.Delete(t.Context(), "me", mine))
	_, err = b.IsReady(t.Context(), mine, 0)
	requireKind(t, fault.NotFound, err)
	require.NoError(t, b.Delete(t.Context(), "me", mine), "a repeat is safe")
	requireKind(t, fault.Invalid, b.Delete(t.Context(), "", "nonsense"))
	require.NoError(t, b.Delete(t.Context(), "", "01890a5d-ac96-774b-bcce-b302099a8057"), "unknown")
}

// deletesAtWork deletes an image that a worker has, and for which a caller waits:
// the one loses its lease, and the other hears that it was cancelled.
func deletesAtWork(t *testing.T, b *bench) {
	id := b.take(t, "original")
	w := b.claim(t, "w")
	waiting := within(func() (imagemaster.Status, error) { return b.IsReady(t.Context(), id, time.Hour) })
	require.NoError(t, b.Delete(t.Context(), "", id))
	if got := receive(t, waiting); got.err == nil {
		require.Equal(t, imagemaster.StateCancelled, got.v.State)
	} else { // it looked just afterwards
		requireKind(t, fault.NotFound, got.err)
	}
	requireKind(t, fault.NotFound, b.WorkProgress(t.Context(), imagemaster.ProgressReport{ID: id, Attempt: w.Attempt}))
	requireKind(t, fault.NotFound, b.WorkFinished(t.Context(), b.store(t, w)))
	requireKind(t, fault.NotFound, b.WorkReleased(t.Context(), taskdb.Lease{ID: id, Attempt: w.Attempt}))
}

// expiries carries how long images are to be kept to taskdb.
func expiries(t *testing.T, b *bench) {
	when := time.Date(2031, 2, 3, 4, 5, 6, 7000, time.FixedZone("there", 3600))
	for _, u := range []imagemaster.Upload{{Keep: 90 * time.Minute}, {Expires: when}, {}} {
		up := keyed("", "original", Document)
		up.Keep, up.Expires = u.Keep, u.Expires
		acc, err := b.NewImage(t.Context(), up)
		require.NoError(t, err)
		st, err := b.IsReady(t.Context(), acc.ID, 0)
		require.NoError(t, err)
		switch {
		case u.Keep > 0:
			require.Equal(t, st.Created.Add(u.Keep), st.Expires)
		case u.Expires.IsZero():
			require.Zero(t, st.Expires)
		default:
			require.Equal(t, when.UTC(), st.Expires)
		}
	}
	before := b.blobs(t)
	for _, u := range []imagemaster.Upload{{Keep: -time.Second}, {Keep: taskdb.MaxKeep + time.Second}, {Keep: time.Second, Expires: when}} {
		up := keyed("", "original", Document)
		up.Keep, up.Expires = u.Keep, u.Expires
		_, err := b.NewImage(t.Context(), up)
		requireKind(t, fault.Invalid, err)
	}
	require.Equal(t, before, b.blobs(t), "nothing of those stays behind")
}
