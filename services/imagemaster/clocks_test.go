package imagemaster_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/services/imagemaster"
	"imagemill/services/storage"
)

// Whatever the clocks of storage and master say, an image whose task is being
// recorded while the sweeper looks keeps its original.
func TestClocksThatDisagreeSweepNothingFresh(t *testing.T) {
	for name, off := range map[string]struct{ storage, master time.Duration }{
		"storage an hour behind": {storage: -time.Hour - time.Minute}, "storage an hour ahead": {storage: time.Hour + time.Minute},
		"master an hour behind": {master: -time.Hour - time.Minute}, "master an hour ahead": {master: time.Hour + time.Minute},
		"storage a day ahead of a master behind": {storage: 24 * time.Hour, master: -time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.blobs.off = off.storage
			w.clock.Advance(off.master)
			ref := w.store(t, imagemaster.OriginalRef(newID())) // stored, not yet recorded
			rendition := w.store(t, imagemaster.RenditionRef(newID(), 1, "a"))
			require.Zero(t, w.sweepTwice(t))
			require.True(t, w.has(t, ref))
			require.True(t, w.has(t, rendition))
			w.blobs.age = 2 * time.Hour // it is an orphan after all
			require.Equal(t, 2, w.sweepTwice(t), "and goes in the end")
		})
	}
}

// Storage's clock was an hour behind when it stamped the blob, and is set right
// a moment later: the blob looks an hour old, and its task is on its way.
func TestAClockSetForwardSweepsNothingFresh(t *testing.T) {
	w := newOldWorld(t)
	stored := make(chan storage.Ref, 1)
	record := make(chan struct{})
	w.blobs.put = func(ctx context.Context, ref storage.Ref, r io.Reader, opt storage.PutOptions) (storage.Info, error) {
		info, err := w.blobs.Store.Put(ctx, ref, r, opt)
		stored <- ref
		<-record
		return info, err
	}
	accepted := make(chan error, 1)
	go func() {
		_, err := w.NewImage(context.WithoutCancel(t.Context()), upload("original"))
		accepted <- err
	}()
	ref := <-stored
	for range 3 { // all within the time that recording may take
		n, err := w.SweepOrphans(t.Context(), time.Time{})
		require.NoError(t, err)
		require.Zero(t, n)
		w.clock.Advance(10 * time.Second)
	}
	close(record)
	require.NoError(t, <-accepted)
	w.clock.Advance(time.Hour)
	require.Zero(t, w.sweepTwice(t))
	require.True(t, w.has(t, ref))
}

func TestAStorageThatDoesNotSayItsTimeIsBelievedNothing(t *testing.T) {
	w := newOldWorld(t)
	w.blobs.mute = true
	ref := w.store(t, imagemaster.OriginalRef(newID()))
	require.Zero(t, w.sweepTwice(t))
	require.True(t, w.has(t, ref))
}

// A sweep that broke off, or looked at recent images only, forgets no suspicion.
func TestASuspicionOutlivesASweepThatDidNotSee(t *testing.T) {
	w := newOldWorld(t)
	w.store(t, imagemaster.OriginalRef("01890a5d-ac96-774b-bcce-b302099a8057"))
	_, err := w.SweepOrphans(t.Context(), time.Time{})
	require.NoError(t, err)
	n, err := w.SweepOrphans(t.Context(), time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Zero(t, n)
	w.blobs.list = errors.New("storage is away")
	_, err = w.SweepOrphans(t.Context(), time.Time{})
	require.ErrorIs(t, err, w.blobs.list)
	w.blobs.list = nil
	w.clock.Advance(time.Minute)
	n, err = w.SweepOrphans(t.Context(), time.Time{})
	require.NoError(t, err)
	require.Equal(t, 1, n)
}
