package replication_test

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/storage"
	"imagemill/services/storage/disk"
	"imagemill/services/storage/storagetest"
)

// sick is a disk to which things happen.
type sick struct {
	*disk.Store
	// bad is the key of a blob that cannot be read from its middle on until it is
	// written again; "" for none.
	bad atomic.Value
	// verified, unless it is nil, is called when a blob was found to be damaged.
	verified func()
}

// over starts a node over a disk to which things happen.
func (w *world) over(s *sick, dir string) *node {
	w.t.Helper()
	w.wrap = func(k storage.Keeper) storage.Keeper {
		s.Store = k.(*disk.Store)
		return s
	}
	defer func() { w.wrap = nil }()
	return w.start(dir)
}

var errSector = fmt.Errorf("read: %w", syscall.EIO)

func (s *sick) isBad(ref storage.Ref) bool { return s.bad.Load() == ref.Key }

func (s *sick) Keep(ctx context.Context, ref storage.Ref, r io.Reader, opt storage.PutOptions, h storage.Hooks) (storage.Info, error) {
	done := h.Done
	h.Done = func(now storage.Held, replaced bool) error {
		s.bad.CompareAndSwap(ref.Key, "")
		return done(now, replaced)
	}
	return s.Store.Keep(ctx, ref, r, opt, h)
}

func (s *sick) Get(ctx context.Context, ref storage.Ref, span storage.Span) (storage.Object, error) {
	if s.isBad(ref) {
		return storage.Object{}, errSector
	}
	return s.Store.Get(ctx, ref, span)
}

func (s *sick) GetStamped(ctx context.Context, ref storage.Ref) (storage.Object, int64, error) {
	obj, stamp, err := s.Store.GetStamped(ctx, ref)
	if err == nil && s.isBad(ref) {
		obj.Body = part{io.MultiReader(io.LimitReader(obj.Body, obj.Size/2), iotest.ErrReader(errSector)), obj.Body}
	}
	return obj, stamp, err
}

// part is the beginning of a body.
type part struct {
	io.Reader
	io.Closer
}

func (s *sick) Verify(ctx context.Context, ref storage.Ref, wait func(context.Context, int) error) error {
	if s.isBad(ref) {
		return errSector
	}
	err := s.Store.Verify(ctx, ref, wait)
	if f := s.verified; f != nil && err != nil {
		s.verified = nil
		f()
	}
	return err
}

// What a disk cannot read any more is fetched from who has it, and heals.
func TestAnUnreadableBlobIsHealed(t *testing.T) {
	w := newWorld(t)
	s := &sick{}
	a, b := w.over(s, w.folder("a")), w.start(w.folder("b"))
	w.know(a, b)
	data := storagetest.Bytes(300_000, 1)
	a.put("key", data, 2)
	read := func() {
		got, err := a.read("key")
		require.NoError(t, err)
		require.Equal(t, data, got)
	}
	s.bad.Store("key")
	read()
	// A caller that checks by itself sees it break off, and asks again.
	s.bad.Store("key")
	obj, err := a.client.GetUnchecked(t.Context(), ref("key"))
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, obj.Body)
	require.Error(t, err)
	require.NoError(t, obj.Body.Close())
	a.eventually("it is healed", func() bool { return a.count("healed_blobs_total") == 2 })
	read()
	require.EqualValues(t, 2, a.count("damaged_blobs_total"))
	require.Empty(t, a.Notices())
}

// A blob that breaks off wherever it is sent does not keep others from being copied.
func TestAnUnreadableBlobHoldsNothingUp(t *testing.T) {
	w := newWorld(t)
	s := &sick{}
	a := w.over(s, w.folder("a"))
	a.put("key", storagetest.Bytes(300_000, 1), 1)
	for i := range 300 { // more than are followed at once
		a.put(fmt.Sprintf("k-%03d", i), []byte("x"), 1)
	}
	s.bad.Store("key")
	b := w.start(w.folder("b"))
	a.eventually("it is passed by", func() bool { return a.try("new", []byte("x"), 2) == nil })
	require.Len(t, b.keys(), 301)
	require.Len(t, a.Notices(), 1, "it is known where it is")
	require.Len(t, b.Notices(), 1)
	a.put("key", storagetest.Bytes(300_000, 1), 2)
	require.True(t, b.whole("key"))
}

// A blob that is deleted while it is found to be damaged is gone, not lost.
func TestWhatIsDeletedIsNotLost(t *testing.T) {
	w := newWorld(t)
	s := &sick{}
	a, b := w.over(s, w.folder("a")), w.start(w.folder("b"))
	w.know(a, b)
	a.put("key", storagetest.Bytes(3_000_000, 1), 2)
	a.flip("key", 1000)
	s.verified = func() { require.NoError(t, a.Delete(t.Context(), ref("key"))) }
	_, err := a.read("key")
	requireKind(t, fault.NotFound, err)
	require.Empty(t, a.Notices())
	b.eventually("it is gone everywhere", func() bool { return len(b.keys()) == 0 })
	_, err = a.client.Stat(t.Context(), ref("key"))
	requireKind(t, fault.NotFound, err)
}

// What a full node cannot mend, it answers from another one, however it is asked.
func TestDamageOnAFullDisk(t *testing.T) {
	w := newWorld(t)
	a, b := w.pair()
	data := storagetest.Bytes(300_000, 1)
	a.put("key", data, 2)
	b.stop()
	w.minFree = 1 << 60
	b = w.start(b.dir)
	b.eventually("the other one is there", func() bool { return b.count("peers") == 1 })
	b.flip("key", 7)
	for range 2 {
		got, err := b.read("key")
		require.NoError(t, err)
		require.Equal(t, data, got)
		info, err := b.client.Stat(t.Context(), ref("key"))
		require.NoError(t, err)
		require.Equal(t, storagetest.Digest(data), info.SHA256)
	}
}
