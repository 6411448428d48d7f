package replication_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/storage"
	"imagemill/services/storage/disk"
	"imagemill/services/storage/replication"
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

// A deletion of what was deleted before holds for what was put again meanwhile, on
// a node that could not be reached.
func TestADeletionIsNeverTakenForAnOlderOne(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	a.put("key", []byte("x"), 2)
	require.NoError(t, a.client.Delete(t.Context(), ref("key")))
	b.eventually("gone", func() bool { return len(b.keys()) == 0 })
	a.stop()
	b.put("key", []byte("again"), 1)
	w.offline(a.dir, func(n *replication.Node) { require.NoError(t, n.Delete(t.Context(), ref("key"))) })
	a = w.start(a.dir)
	b.eventually("it is gone for good", func() bool { return len(b.keys()) == 0 })
	b.put("end", nil, 2)
	require.Equal(t, []string{"end"}, a.keys())
}

// forget takes all lines since the last start from the log of a node that has
// stopped, as a power cut may.
func (n *node) forget() {
	n.t.Helper()
	logs, err := filepath.Glob(filepath.Join(n.dir, "replication", "log.*"))
	require.NoError(n.t, err)
	require.Len(n.t, logs, 1)
	b, err := os.ReadFile(logs[0])
	require.NoError(n.t, err)
	start := bytes.LastIndex(b, []byte("\nb ")) + 1
	require.NoError(n.t, os.Truncate(logs[0], int64(start+bytes.IndexByte(b[start:], '\n')+1)))
}

// What a clock that was ahead has stamped, and the log has lost, is replaced and
// deleted all the same, also before the folder has been compared.
func TestChangesBeforeTheComparison(t *testing.T) {
	w := newWorld(t)
	w.now = func() time.Time { return time.Now().Add(time.Hour) }
	a, b := w.pair()
	a.put("replaced", []byte("old"), 2)
	a.put("deleted", []byte("old"), 2)
	a.stop()
	a.forget()
	w.now = nil
	w.offline(a.dir, func(n *replication.Node) {
		put := func() error {
			_, err := n.Put(t.Context(), ref("replaced"), strings.NewReader("new"), storage.PutOptions{Size: 3})
			return err
		}
		requireKind(t, fault.Unavailable, put())
		require.NoError(t, put(), "a repeat succeeds")
	})
	a.forget()
	w.offline(a.dir, func(n *replication.Node) { require.NoError(t, n.Delete(t.Context(), ref("deleted"))) })
	a = w.start(a.dir)
	for _, n := range []*node{a, b} {
		n.eventually("one is replaced, one is gone", func() bool { return n.holds("replaced", []byte("new")) && len(n.keys()) == 1 })
	}
}

// What is put again with the same bytes after a deletion stays where its copy is
// acknowledged, also where all of that is news at once.
func TestTheSameBytesAgain(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	const n = 20
	key := func(i int) string { return fmt.Sprintf("key-%02d", i) }
	for i := range n {
		a.put(key(i), []byte("x"), 2)
	}
	b.stop()
	for i := range n {
		require.NoError(t, a.client.Delete(t.Context(), ref(key(i))))
		a.put(key(i), []byte("x"), 1)
	}
	b = w.start(b.dir)
	a.eventually("all that came before is acknowledged", func() bool { return a.try("end", nil, 2) == nil })
	for i := range n {
		require.True(t, b.holds(key(i), []byte("x")), key(i))
	}
}

// A full node follows deletions past what it has no room for, and catches up with
// the rest when it has.
func TestDeletionsReachAFullNode(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	a.put("old", []byte("x"), 2)
	a.put("again", []byte("x"), 2)
	b.stop()
	a.stop()
	w.cfg.ReplicaWait = 50 * time.Millisecond
	a = w.start(a.dir)
	key := func(i int) string { return fmt.Sprintf("key-%03d", i) }
	for i := range 300 { // more than are followed at once
		a.put(key(i), []byte("x"), 1)
	}
	for _, key := range []string{"old", "again"} {
		require.NoError(t, a.client.Delete(t.Context(), ref(key)))
	}
	a.put("again", []byte("y"), 1)
	w.minFree = 1 << 60
	b = w.start(b.dir)
	b.eventually("what was deleted is gone", func() bool { return len(b.keys()) == 0 })
	_, err := b.read("old")
	requireKind(t, fault.NotFound, err)
	a.put("later", []byte("x"), 1)
	require.NoError(t, a.client.Delete(t.Context(), ref(key(0))))
	a.eventually("the full one is there", func() bool { return a.count("peers") == 1 })
	requireKind(t, fault.Unavailable, a.try("one-more", []byte("x"), 2)) // nothing counts as copied
	b.stop()
	w.minFree = 0
	b = w.start(b.dir)
	b.eventually("all is there", func() bool { return len(b.keys()) == len(a.keys()) && b.holds("again", []byte("y")) })
	require.False(t, b.holds(key(0), []byte("x")))
	require.True(t, b.holds(key(299), []byte("x")))
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

// Nor does it bring anything back to one that came meanwhile, and could not know of
// the deletions, or through that one to others, be they followed or asked.
func TestAwayForTooLongWhileAnotherCame(t *testing.T) {
	w := newWorld(t)
	var ahead atomic.Int64
	w.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	a, b := w.pair()
	const blobs = 300 // more than are copied at once
	for i := range blobs {
		a.put(fmt.Sprintf("key-%03d", i), []byte("x"), 1)
	}
	a.put("keep", []byte("x"), 2)
	a.stop()
	for i := range blobs {
		require.NoError(t, b.Delete(t.Context(), ref(fmt.Sprintf("key-%03d", i))))
	}
	b.stop()
	ahead.Store(int64(w.cfg.Tombstones + time.Hour))
	b = w.start(b.dir)
	require.NoError(t, b.Compact())
	c := w.start(w.folder("c"))
	c.eventually("c has what b has", func() bool { return len(c.keys()) == 1 && c.count("pulled_blobs_total") == 1 })
	before := c.count("pulled_blobs_total")
	a = w.start(a.dir)
	for len(a.keys()) > 1 {
		for _, n := range []*node{b, c} {
			_, err := n.read("key-299")
			require.Error(t, err)
			_, err = n.client.Stat(t.Context(), ref("key-299"))
			require.Error(t, err)
		}
	}
	a.eventually("all can be followed", func() bool { return a.try("new", []byte("x"), 3) == nil })
	for _, n := range []*node{a, b, c} {
		require.Equal(t, []string{"keep", "new"}, slices.Sorted(slices.Values(n.keys())))
	}
	require.LessOrEqual(t, c.count("pulled_blobs_total")-before, 1.0, "nothing was copied in between")
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

// failingWalk is a disk whose folder cannot be walked at first.
type failingWalk struct {
	storage.Keeper
	fails *atomic.Bool
}

func (d failingWalk) Walk(ctx context.Context, s storage.State, each func(string) error) error {
	if d.fails.Load() && s == storage.Finished {
		return errors.New("too many open files")
	}
	return d.Keeper.Walk(ctx, s, each)
}

// A comparison that fails is said, and tried again, until the node can be followed.
func TestTheComparisonIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	var fails atomic.Bool
	fails.Store(true)
	dir := w.folder("a")
	old, err := disk.Open(disk.Config{Dir: dir}, disk.Deps{Log: testLog(w)})
	require.NoError(t, err)
	storagetest.Put(t, old, "old", []byte("x"))
	w.wrap = func(s storage.Keeper) storage.Keeper { return failingWalk{s, &fails} }
	a := w.start(dir)
	w.wrap = nil
	b := w.start(w.folder("b"))
	a.eventually("it is said", func() bool {
		return slices.ContainsFunc(a.Missing(), func(s string) bool { return strings.Contains(s, "too many open files") })
	})
	require.Empty(t, b.keys())
	fails.Store(false)
	b.eventually("what was there is copied", func() bool { return b.holds("old", []byte("x")) })
	a.eventually("and a Put succeeds", func() bool { return a.try("new", []byte("y"), 2) == nil })
	require.Empty(t, a.Missing())
	require.Len(t, b.keys(), 2)
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
