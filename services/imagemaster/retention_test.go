package imagemaster_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/taskdbtest"
)

// kept is a world whose taskdb has a clock of its own.
func kept(t *testing.T, change func(*imagemaster.Config)) (*world, *taskdbtest.Clock) {
	t.Helper()
	w, clock := newWorld(t, change), taskdbtest.NewClock()
	w.tasks.Store = taskdb.NewMemory(taskdb.DefaultConfig(), taskdb.MemoryDeps{Events: w.bus, Now: clock.Now})
	return w, clock
}

// gone reports whether nothing is left of an image.
func (w *world) gone(t *testing.T, id string) bool {
	t.Helper()
	_, err := w.IsReady(t.Context(), id, 0)
	if err == nil {
		require.True(t, w.has(t, imagemaster.OriginalRef(id)), "what there is points at something")
		return false
	}
	require.Equal(t, fault.NotFound, fault.KindOf(err), "%v", err)
	require.False(t, w.has(t, imagemaster.OriginalRef(id)))
	require.False(t, w.has(t, imagemaster.RenditionRef(id, 1, "a")))
	return true
}

func TestWhatIsDueIsRemovedWithItsBlobs(t *testing.T) {
	w, clock := kept(t, func(c *imagemaster.Config) { c.Retention, c.RetentionFailed = time.Hour, 2*time.Hour })
	short := upload("original")
	short.Keep = time.Minute
	acc, err := w.NewImage(t.Context(), short)
	require.NoError(t, err)
	_, err = w.tasks.Cancel(t.Context(), w.take(t))
	require.NoError(t, err)
	purge := func(want int) {
		t.Helper()
		n, err := w.Purge(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	purge(0)
	clock.Advance(time.Minute)
	w.clock.Advance(1000 * time.Hour) // a master's clock says nothing
	purge(1)
	require.True(t, w.gone(t, acc.ID))
	finished, waiting := w.finish(t), w.take(t)
	clock.Advance(time.Hour)
	purge(1)
	require.True(t, w.gone(t, finished))
	clock.Advance(time.Hour)
	purge(1) // the cancelled one
	clock.Advance(10_000 * time.Hour)
	purge(0)
	require.False(t, w.gone(t, waiting), "what is not at its end waits as long as it takes")
}

// Several masters purge at once, and one is killed after taskdb has answered it:
// each image is removed once, and the sweeper finds what the killed one left.
func TestMastersPurgeTogether(t *testing.T) {
	w, clock := kept(t, func(c *imagemaster.Config) { c.Retention = time.Hour })
	w.blobs.age = 2 * time.Hour
	var ids []string
	for range 250 {
		ids = append(ids, w.finish(t))
	}
	clock.Advance(time.Hour)
	killed, err := w.tasks.Purge(t.Context(), taskdb.Retention{FinishedMillis: 1})
	require.NoError(t, err)
	require.Len(t, killed, taskdb.MaxPurge)
	deps := testDeps(w.tasks, w.blobs, w.bus)
	cfg := testConfig()
	cfg.Retention = time.Hour
	var wg sync.WaitGroup
	var mu sync.Mutex
	removed := 0
	for _, m := range []*imagemaster.Service{w.Service, newService(t, cfg, deps), newService(t, cfg, deps)} {
		wg.Go(func() {
			n, err := m.Purge(context.Background())
			assert.NoError(t, err)
			mu.Lock()
			defer mu.Unlock()
			removed += n
		})
	}
	wg.Wait()
	require.Equal(t, len(ids)-len(killed), removed)
	require.Equal(t, 2*len(killed), w.sweepTwice(t))
	for _, id := range ids {
		require.True(t, w.gone(t, id))
	}
}

// The sweeper of a running master purges by itself, unless it is told not to.
func TestTheSweeperPurges(t *testing.T) {
	for every, goes := range map[time.Duration]bool{time.Millisecond: true, 0: false} {
		cfg := testConfig()
		cfg.PurgeEvery = every
		bus := events.NewMemory()
		store, blobs := taskdb.NewMemory(taskdb.DefaultConfig(), taskdb.MemoryDeps{Events: bus}), storage.NewMem()
		s := newService(t, cfg, testDeps(store, blobs, bus))
		u := upload("original")
		u.Keep = time.Millisecond
		acc, err := s.NewImage(t.Context(), u)
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		require.Eventually(t, func() bool { return s.URL() != "" }, patience, tick)
		if goes {
			require.Eventually(t, func() bool {
				page, err := blobs.List(t.Context(), storage.InProgress, "", 0)
				return err == nil && len(page.Blobs) == 0
			}, patience, tick)
		} else {
			_, err := s.IsReady(t.Context(), acc.ID, 20*time.Millisecond)
			require.NoError(t, err)
		}
		stop()
		require.NoError(t, <-done)
	}
}

func TestWrongRetentions(t *testing.T) {
	for _, spoil := range []func(*imagemaster.Config){
		func(c *imagemaster.Config) { c.Retention = -time.Second },
		func(c *imagemaster.Config) { c.RetentionFailed = taskdb.MaxKeep + time.Second },
		func(c *imagemaster.Config) { c.PurgeEvery = -time.Second },
	} {
		cfg := testConfig()
		spoil(&cfg)
		require.ErrorContains(t, cfg.Validate(), "RETENTION, RETENTION_FAILED, PURGE_EVERY")
	}
}
