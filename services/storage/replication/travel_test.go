package replication_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/storage/disk"
	"imagemill/services/storage/storagetest"
)

// Deletions reach a node that was away, and nothing comes back from it.
func TestDeletionsReachWhoWasAway(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	for i := range 10 {
		a.put(fmt.Sprintf("key-%d", i), []byte("x"), 2)
	}
	require.NoError(t, b.client.Delete(t.Context(), ref("key-0")))
	a.eventually("one is gone", func() bool { return len(a.keys()) == 9 })
	b.stop()
	for i := range 5 {
		require.NoError(t, a.client.Delete(t.Context(), ref(fmt.Sprintf("key-%d", i))))
	}
	b = w.start(b.dir)
	b.eventually("five are gone", func() bool { return len(b.keys()) == 5 })
	b.put("key-0", []byte("again"), 2)
	require.True(t, a.holds("key-0", []byte("again")), "a Put after a deletion holds")
	c := w.start(w.folder("c"))
	c.eventually("a new one gets what is left", func() bool { return len(c.keys()) == 6 })
	for i := 1; i < 5; i++ {
		for _, n := range []*node{a, b, c} {
			_, err := n.read(fmt.Sprintf("key-%d", i))
			requireKind(t, fault.NotFound, err)
		}
	}
}

// A node that was away for longer than deletions are remembered brings back
// nothing, and loses nothing that it alone has.
func TestAwayForTooLong(t *testing.T) {
	w := newWorld(t)
	var ahead atomic.Int64
	w.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	a, b := w.pair()
	for i := range 10 {
		a.put(fmt.Sprintf("a-%d", i), []byte("x"), 2)
		b.put(fmt.Sprintf("b-%d", i), []byte("x"), 2)
	}
	b.stop()
	for i := range 5 {
		require.NoError(t, a.client.Delete(t.Context(), ref(fmt.Sprintf("a-%d", i))))
		require.NoError(t, a.client.Delete(t.Context(), ref(fmt.Sprintf("b-%d", i))))
	}
	a.put("meanwhile-a", []byte("x"), 1)
	a.stop()
	b = w.start(b.dir) // a while for itself
	b.put("meanwhile-b", []byte("x"), 1)
	b.stop()
	ahead.Store(int64(w.cfg.Tombstones + time.Hour))
	a = w.start(a.dir)
	require.NoError(t, a.Compact())
	b = w.start(b.dir)
	for _, n := range []*node{a, b} {
		n.eventually("both hold the same, without what was deleted", func() bool {
			return len(n.keys()) == 12 && n.holds("meanwhile-a", []byte("x")) && n.holds("meanwhile-b", []byte("x"))
		})
	}
	b.eventually("it is said", func() bool {
		return strings.Contains(w.logged(), "has caught up with them") && strings.Contains(w.logged(), "removed=10")
	})
	for _, n := range []*node{a, b} {
		for _, key := range []string{"meanwhile-a", "meanwhile-b", "a-9", "b-9"} {
			require.True(t, n.holds(key, []byte("x")), key)
		}
	}
}

// Of two that are put under one key on two nodes, one remains, the same on both;
// and who replaces what it has seen wins, whatever the clocks say.
func TestOneOfTwoRemains(t *testing.T) {
	w := newWorld(t)
	w.now = func() time.Time { return time.Now().Add(time.Hour) }
	a := w.start(w.folder("a"))
	w.now = nil
	b := w.start(w.folder("b"))
	w.know(a, b)
	a.put("key", []byte("of a"), 2)
	b.put("key", []byte("of b, whose clock is behind"), 2)
	require.True(t, a.holds("key", []byte("of b, whose clock is behind")))
	require.NoError(t, b.client.Delete(t.Context(), ref("key")))
	a.eventually("gone", func() bool { return len(a.keys()) == 0 })
	for i := range 20 {
		done := make(chan error, 1)
		go func() { done <- a.try("key", []byte(fmt.Sprint("a", i)), 1) }()
		b.put("key", []byte(fmt.Sprint("b", i)), 1)
		require.NoError(t, <-done)
	}
	a.put("end", nil, 2)
	b.put("end2", nil, 2)
	a.eventually("both have one and the same", func() bool {
		x, err1 := a.disk.Held(t.Context(), ref("key"))
		y, err2 := b.disk.Held(t.Context(), ref("key"))
		return err1 == nil && err2 == nil && x.SHA256 == y.SHA256
	})
}

// What is not here yet is read through from who has it, kept, and fetched once;
// nothing is called missing that somebody may have who cannot be asked.
func TestReadThrough(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	pulled := b.count("pulled_blobs_total")
	for i := range 30 {
		key, data := fmt.Sprintf("key-%02d", i), storagetest.Bytes(100_000, uint64(i))
		a.put(key, data, 1)
		if i%2 == 0 {
			info, err := b.client.Stat(t.Context(), ref(key))
			require.NoError(t, err)
			require.Equal(t, storagetest.Digest(data), info.SHA256)
		}
		got, err := b.read(key)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
	}
	b.eventually("all are counted", func() bool { return b.count("pulled_blobs_total")-pulled >= 30 })
	require.EqualValues(t, 30, b.count("pulled_blobs_total")-pulled)
	_, err := b.read("nothing")
	requireKind(t, fault.NotFound, err)
	require.NoError(t, a.client.Delete(t.Context(), ref("key-00")))
	b.eventually("gone", func() bool { return !b.whole("key-00") })
	a.stop()
	_, err = b.read("nothing")
	requireKind(t, fault.Unavailable, err)
	require.Positive(t, fault.As(err).RetryAfter)
	_, err = b.client.Stat(t.Context(), ref("nothing"))
	requireKind(t, fault.Unavailable, err)
	_, err = b.read("key-00")
	requireKind(t, fault.NotFound, err) // it is known to be deleted
}

// A folder from before there was a log, or whose log's end was lost, is copied
// whole; a deletion that a crash interrupted is ended.
func TestTheFolderIsComparedWithTheLog(t *testing.T) {
	w := newWorld(t)
	dir := w.folder("a")
	old, err := disk.Open(disk.Config{Dir: dir}, disk.Deps{Log: testLog(w)})
	require.NoError(t, err)
	for i := range 20 {
		storagetest.Put(t, old, fmt.Sprintf("old-%02d", i), []byte("x"))
	}
	a := w.start(dir)
	b := w.start(w.folder("b"))
	b.eventually("all is copied", func() bool { return len(b.keys()) == 20 })
	a.put("new", []byte("y"), 2)
	kept, err := os.ReadFile(a.path("new"))
	require.NoError(t, err)
	require.NoError(t, a.client.Delete(t.Context(), ref("new")))
	b.eventually("gone", func() bool { return len(b.keys()) == 20 })
	a.stop()
	require.NoError(t, os.WriteFile(a.path("new"), kept, 0o600)) // as if it had not been removed yet
	logs, err := filepath.Glob(filepath.Join(dir, "replication", "log.*"))
	require.NoError(t, err)
	a = w.start(dir)
	a.eventually("the deletion is ended", func() bool { return len(a.keys()) == 20 })
	a.stop()
	require.NoError(t, os.Truncate(logs[0], 1000))
	storagetest.Put(t, old, "unlogged", []byte("z"))
	a = w.start(dir)
	b.eventually("what the log had lost is copied", func() bool { return b.holds("unlogged", []byte("z")) })
	b.eventually("it is counted", func() bool { return b.count("pulled_blobs_total") >= 22 })
	a.put("end", nil, 2)
	b.eventually("it is counted", func() bool { return b.count("pulled_blobs_total") >= 23 })
	require.EqualValues(t, 23, b.count("pulled_blobs_total"), "nothing else is fetched again")
}

// One that is wiped is another store: what it had acknowledged counts no more,
// and it gets everything anew.
func TestAWipedNodeStartsOver(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	for i := range 20 {
		a.put(fmt.Sprintf("key-%02d", i), []byte("x"), 2)
	}
	b.stop()
	require.NoError(t, os.RemoveAll(b.dir))
	b = w.start(b.dir)
	b.eventually("all is back", func() bool { return len(b.keys()) == 20 })
	a.eventually("it counts", func() bool { return a.try("new", []byte("x"), 2) == nil })
	require.True(t, b.holds("new", []byte("x")))
}
