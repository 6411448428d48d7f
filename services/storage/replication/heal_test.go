package replication_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/storage"
	"imagemill/services/storage/storagetest"
)

// path is where a blob lies.
func (n *node) path(key string) string {
	return filepath.Join(n.dir, "inProgress", key[:min(7, len(key))], key)
}

// flip turns one bit of a stored blob.
func (n *node) flip(key string, at int64) {
	n.t.Helper()
	f, err := os.OpenFile(n.path(key), os.O_RDWR, 0)
	require.NoError(n.t, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	require.NoError(n.t, err)
	b[0] ^= 4
	_, err = f.WriteAt(b[:], at)
	require.NoError(n.t, err)
	require.NoError(n.t, f.Close())
}

func (n *node) whole(key string) bool { return n.disk.Verify(n.t.Context(), ref(key), nil) == nil }

// Damage is found by each way of reading, answered with a good copy from the other
// node, and healed.
func TestDamageIsHealed(t *testing.T) {
	a, b := newWorld(t).pair()
	for i, size := range []int{10, 100_000, 700_000, 3_000_000} {
		key, data := fmt.Sprintf("key-%d", i), storagetest.Bytes(size, 1)
		a.put(key, data, 2)
		for what, at := range map[string]int64{"byte": int64(size / 2), "footer": int64(size) + 30} {
			a.flip(key, at)
			got, err := a.read(key)
			require.NoError(t, err, "%s of %d", what, size)
			require.True(t, bytes.Equal(data, got))
			require.True(t, a.whole(key))
		}
		a.flip(key, int64(size)+30)
		info, err := a.client.Stat(t.Context(), ref(key))
		require.NoError(t, err)
		require.Equal(t, storagetest.Digest(data), info.SHA256)
		require.True(t, a.whole(key))
		if size <= 1<<20 {
			a.flip(key, 0)
			obj, err := a.client.Get(t.Context(), ref(key), storage.Span{Offset: 5, Length: 3})
			require.NoError(t, err)
			got, err := io.ReadAll(obj.Body)
			require.NoError(t, err)
			require.NoError(t, obj.Body.Close())
			require.Equal(t, data[5:8], got)
		}
		// A caller that checks by itself asks again, as workers do.
		a.flip(key, 1)
		obj, err := a.client.GetUnchecked(t.Context(), ref(key))
		if err == nil {
			_, err = io.Copy(io.Discard, obj.Body)
			require.NoError(t, err)
			require.NoError(t, obj.Body.Close())
		}
		got, err := a.read(key)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
		require.True(t, a.whole(key))
	}
	require.EqualValues(t, 4*4+3, a.count("damaged_blobs_total"))
	a.eventually("all are counted", func() bool { return a.count("healed_blobs_total") == 4*4+3 })
	require.Zero(t, a.count("lost_blobs"))
	require.Empty(t, a.Notices())
	require.Zero(t, b.count("damaged_blobs_total"))
}

// Damage that nobody can heal is never served, is said on /readyz, survives a
// restart, and is healed when somebody comes who can.
func TestDamageWaitsForAGoodCopy(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	data := storagetest.Bytes(3_000_000, 1)
	a.put("key", data, 2)
	b.stop()
	a.flip("key", 1000)
	for range 2 {
		_, err := a.read("key")
		require.Error(t, err)
	}
	a.eventually("it is noted", func() bool { return len(a.Notices()) == 1 })
	_, err := a.client.Get(t.Context(), ref("key"), storage.Span{Offset: 2_000_000, Length: 1})
	requireKind(t, fault.Unavailable, err) // the other one, which is away, may have it
	a.stop()
	a = w.start(a.dir)
	require.Len(t, a.Notices(), 1)
	_, err = a.client.Get(t.Context(), ref("key"), storage.Span{Offset: 2_000_000, Length: 1})
	require.Error(t, err)
	w.start(b.dir)
	a.eventually("it is healed without being asked for", func() bool { return a.whole("key") && len(a.Notices()) == 0 })
	got, err := a.read("key")
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))

	alone := newWorld(t).start(t.TempDir())
	alone.put("key", []byte("data"), 1)
	alone.flip("key", 0)
	_, err = alone.read("key")
	requireKind(t, fault.Internal, err)
	alone.put("key", []byte("data"), 1)
	require.Empty(t, alone.Notices(), "a new Put heals too")
}

// Who reads a large blob and goes away does not make it a damaged one.
func TestAReaderThatFailsIsNoDamage(t *testing.T) {
	a := newWorld(t).start(t.TempDir())
	a.put("key", storagetest.Bytes(3_000_000, 1), 1)
	for _, size := range []int64{-1, 2_000_000} { // the whole, and a part
		obj, err := a.Get(t.Context(), ref("key"), storage.Span{Length: size})
		require.NoError(t, err)
		_, err = obj.Body.(io.WriterTo).WriteTo(failingWriter{})
		require.ErrorIs(t, err, io.ErrClosedPipe)
		require.NoError(t, obj.Body.Close())
	}
	require.Zero(t, a.count("damaged_blobs_total"))
	require.Empty(t, a.Notices())
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// A damaged blob is not handed on, and does not keep others from being.
func TestDamageIsNotHandedOn(t *testing.T) {
	w := newWorld(t)
	a := w.start(w.folder("a"))
	for i := range 6 {
		a.put(fmt.Sprintf("key-%d", i), storagetest.Bytes(200_000*i+10, uint64(i)), 1)
	}
	a.flip("key-1", 5)
	a.flip("key-5", 5) // large: sent by the kernel, and found by who takes it
	b := w.start(w.folder("b"))
	b.eventually("the good ones come", func() bool { return len(b.keys()) == 4 && b.count("lost_blobs") == 2 })
	a.eventually("the damage is known where it is", func() bool { return a.count("damaged_blobs_total") == 2 })
	_, err := b.read("key-5")
	requireKind(t, fault.Internal, err)
	a.put("key-5", storagetest.Bytes(1_000_010, 5), 2)
	require.True(t, b.whole("key-5"))
}

// The scrubber reads everything, again and again, and goes on where it was.
func TestScrubberFindsDamage(t *testing.T) {
	w := newWorld(t)
	w.cfg.ScrubRate, w.cfg.ScrubPause = 1<<30, 0
	a, b := w.pair()
	const n = 30
	for i := range n {
		a.put(fmt.Sprintf("key-%02d", i), storagetest.Bytes(i*40_000+1, uint64(i)), 2)
	}
	for i := 0; i < n; i += 3 {
		a.flip(fmt.Sprintf("key-%02d", i), int64(i*20_000))
	}
	for i := 1; i < n; i += 3 {
		b.flip(fmt.Sprintf("key-%02d", i), int64(i*20_000))
	}
	for _, s := range []*node{a, b} {
		s.eventually("all is found and healed", func() bool {
			return s.count("damaged_blobs_total") == n/3 && s.count("healed_blobs_total") == n/3
		})
		for i := range n {
			require.True(t, s.whole(fmt.Sprintf("key-%02d", i)))
		}
	}
}

// The scrubber keeps its pace, rests, and begins in time.
func TestScrubberKeepsItsPace(t *testing.T) {
	w := newWorld(t)
	var ahead atomic.Int64
	w.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	w.cfg.ScrubRate, w.cfg.ScrubPause = 1<<20, time.Hour
	a := w.start(t.TempDir())
	for i := range 8 {
		a.put(fmt.Sprintf("key-%d", i), storagetest.Bytes(100_000, uint64(i)), 1)
	}
	require.Zero(t, a.count("scrubbed_blobs_total"), "it rests at first")
	a.stop()
	ahead.Store(int64(time.Hour))
	began := time.Now()
	a = w.start(a.dir)
	a.eventually("half are read", func() bool { return a.count("scrubbed_blobs_total") >= 4 })
	require.Greater(t, time.Since(began), 300*time.Millisecond, "a mebibyte a second")
	a.stop()
	read := a.count("scrubbed_blobs_total")
	a = w.start(a.dir)
	a.eventually("the rest are read", func() bool { return a.count("scrubbed_blobs_total") == 8-read })
}

// What was noted while the clock was far ahead holds no longer than other notes: the
// scrubber goes on, and a node that is gone for good is forgotten.
func TestAClockThatWasFarAhead(t *testing.T) {
	w := newWorld(t)
	var ahead atomic.Int64
	w.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	ahead.Store(int64(10_000 * time.Hour))
	a, b := w.pair()
	a.put("key", []byte("x"), 2)
	b.stop()
	a.stop()
	ahead.Store(0)
	a = w.start(a.dir)
	_, err := a.read("nothing")
	requireKind(t, fault.Unavailable, err) // the other one may have it
	a.stop()
	ahead.Store(int64(max(w.cfg.Tombstones, w.cfg.ScrubPause) + time.Hour))
	a = w.start(a.dir)
	_, err = a.read("nothing")
	requireKind(t, fault.NotFound, err)
	a.eventually("all is read", func() bool { return a.count("scrubbed_blobs_total") == 1 })
}

// What somebody took out of the folder behind the node's back is missed at the
// next start, and brought back.
func TestWhatIsMissingIsBroughtBack(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	for i := range 5 {
		a.put(fmt.Sprintf("key-%d", i), []byte("x"), 2)
	}
	a.stop()
	require.NoError(t, os.Remove(a.path("key-2")))
	a = w.start(a.dir)
	a.eventually("it is back", func() bool { return a.whole("key-2") && len(a.Notices()) == 0 })
	require.Len(t, b.keys(), 5, "it was not taken for a deletion")
	require.Contains(t, w.logged(), "a blob that was held is missing")
}
