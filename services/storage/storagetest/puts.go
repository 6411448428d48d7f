package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/storage"
)

// sizes lie on both sides of every buffer and threshold that a backend may have.
func sizes() []int {
	return []int{0, 1, 63, 64, 65, 8 << 10, 128<<10 - 65, 128<<10 - 64, 128<<10 - 63, 128 << 10, 128<<10 + 1,
		300_000, 1 << 20, 1<<20 + 1, 5_000_000}
}

func testRoundTrip(t *testing.T, s storage.Store) {
	for i, n := range sizes() {
		data := Bytes(n, uint64(i))
		before := time.Now()
		info := Put(t, s, "a", data)
		took := time.Since(before)
		require.Equal(t, "a", info.Key)
		require.EqualValues(t, n, info.Size)
		require.Equal(t, Digest(data), info.SHA256)
		require.WithinDuration(t, before, info.Modified, took+2*time.Second)

		got, err := Read(t, s, "a", storage.Whole())
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got), "%d bytes", n)
		stat, err := s.Stat(t.Context(), ref("a"))
		require.NoError(t, err)
		requireSame(t, info, stat, took)
		obj, err := s.Get(t.Context(), ref("a"), storage.Whole())
		require.NoError(t, err)
		requireSame(t, info, obj.Info, took)
		require.NoError(t, obj.Body.Close(), "closed unread")
	}
}

// requireSame compares what a store says of one blob that took so long to put; times
// only to the second, as of any of its copies.
func requireSame(t *testing.T, want, got storage.Info, took time.Duration) {
	t.Helper()
	require.WithinDuration(t, want.Modified, got.Modified, took+time.Second)
	got.Modified = want.Modified
	require.Equal(t, want, got)
}

func testStatesApart(t *testing.T, s storage.Store) {
	finished := storage.Ref{State: storage.Finished, Key: "a"}
	Put(t, s, "a", []byte("before"))
	_, err := s.Stat(t.Context(), finished)
	requireKind(t, fault.NotFound, err)
	_, err = s.Put(t.Context(), finished, strings.NewReader("after"), storage.PutOptions{Size: -1})
	require.NoError(t, err)
	require.NoError(t, s.Delete(t.Context(), finished))
	got, err := Read(t, s, "a", storage.Whole())
	require.NoError(t, err)
	require.Equal(t, "before", string(got))
}

// testAnnounced: what is announced rightly is taken, in every combination.
func testAnnounced(t *testing.T, s storage.Store) {
	for _, n := range sizes() {
		data := Bytes(n, 1)
		for _, opt := range []storage.PutOptions{
			{Size: int64(n)}, {Size: -1, SHA256: Digest(data)}, {Size: int64(n), SHA256: Digest(data)},
		} {
			info, err := s.Put(t.Context(), ref("a"), bytes.NewReader(data), opt)
			require.NoError(t, err)
			require.Equal(t, Digest(data), info.SHA256)
		}
	}
}

// testMismatch: what is announced wrongly changes nothing, be there a blob or not.
func testMismatch(t *testing.T, s storage.Store) {
	const field, digest = "size", "sha256"
	for _, n := range []int{0, 1, 1000, 700_000} {
		data := Bytes(n, 2)
		for _, c := range []struct {
			opt   storage.PutOptions
			field string
		}{
			{storage.PutOptions{Size: int64(n) + 1}, field},
			{storage.PutOptions{Size: int64(n) + 500_000}, field},
			{storage.PutOptions{Size: int64(n) - 1}, field},
			{storage.PutOptions{Size: int64(n) / 2}, field},
			{storage.PutOptions{Size: -1, SHA256: Digest([]byte("other"))}, digest},
			{storage.PutOptions{Size: int64(n), SHA256: Digest([]byte("other"))}, digest},
		} {
			if c.opt.Size == int64(n) && c.field == field || n == 0 && c.opt.Size == -1 && c.field == field {
				continue
			}
			_, err := s.Put(t.Context(), ref("a"), bytes.NewReader(data), c.opt)
			requireKind(t, fault.Invalid, err, n, c)
			require.Equal(t, c.field, fault.As(err).Field)
			requireEmpty(t, s, "a")
		}
	}
	Put(t, s, "b", []byte("old"))
	_, err := s.Put(t.Context(), ref("b"), strings.NewReader("new"), storage.PutOptions{Size: 2})
	requireKind(t, fault.Invalid, err)
	got, err := Read(t, s, "b", storage.Whole())
	require.NoError(t, err)
	require.Equal(t, "old", string(got))
}

// testFailingReader: the reader's own error comes back, of whatever kind, and
// nothing is stored. io.ErrUnexpectedEOF is what a broken upload looks like.
func testFailingReader(t *testing.T, s storage.Store) {
	own := errors.New("the cable is out")
	for _, cause := range []error{own, io.ErrUnexpectedEOF, fault.Wrap(fault.TooLarge, "too large", own)} {
		for _, n := range []int{0, 1, 5000, 900_000} {
			for _, size := range []int64{-1, int64(n), int64(n) + 10} {
				r := io.MultiReader(bytes.NewReader(Bytes(n, 3)), iotest.ErrReader(cause))
				_, err := s.Put(t.Context(), ref("a"), r, storage.PutOptions{Size: size})
				require.ErrorIs(t, err, cause, "%d bytes of %d", n, size)
				requireEmpty(t, s, "a")
			}
		}
	}
	_, err := s.Put(t.Context(), ref("a"), iotest.ErrReader(fault.New(fault.TooLarge, "")), storage.PutOptions{Size: -1})
	requireKind(t, fault.TooLarge, err)
}

func testOddReaders(t *testing.T, s storage.Store) {
	data := Bytes(3000, 4)
	for name, r := range map[string]io.Reader{
		"one byte at a time": iotest.OneByteReader(bytes.NewReader(data)),
		"half":               iotest.HalfReader(bytes.NewReader(data)),
		"data with EOF":      iotest.DataErrReader(bytes.NewReader(data)),
	} {
		info, err := s.Put(t.Context(), ref("a"), r, storage.PutOptions{Size: int64(len(data))})
		require.NoError(t, err, name)
		require.Equal(t, Digest(data), info.SHA256, name)
	}
}

func testCancelled(t *testing.T, s storage.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	half := io.MultiReader(bytes.NewReader(Bytes(300_000, 5)), readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, ctx.Err()
	}))
	_, err := s.Put(ctx, ref("a"), half, storage.PutOptions{Size: -1})
	require.ErrorIs(t, err, context.Canceled)
	requireEmpty(t, s, "a")
	_, err = s.Put(ctx, ref("a"), strings.NewReader("x"), storage.PutOptions{Size: 1})
	require.ErrorIs(t, err, context.Canceled)
	requireEmpty(t, s, "a")
	_, err = s.Get(ctx, ref("a"), storage.Whole())
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Stat(ctx, ref("a"))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.Delete(ctx, ref("a")), context.Canceled)
	_, err = s.List(ctx, storage.InProgress, "", 0)
	require.ErrorIs(t, err, context.Canceled)
}

type readerFunc func(p []byte) (int, error)

// Read calls f.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
