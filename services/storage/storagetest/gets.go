package storagetest

import (
	"bytes"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/storage"
)

func testMissing(t *testing.T, s storage.Store) {
	_, err := s.Get(t.Context(), ref("nothing"), storage.Whole())
	requireKind(t, fault.NotFound, err)
	_, err = s.Get(t.Context(), ref("nothing"), storage.Span{Offset: 5, Length: 1})
	requireKind(t, fault.NotFound, err)
	_, err = s.Stat(t.Context(), ref("nothing"))
	requireKind(t, fault.NotFound, err)
}

func testDelete(t *testing.T, s storage.Store) {
	require.NoError(t, s.Delete(t.Context(), ref("a")), "missing")
	Put(t, s, "a", []byte("x"))
	Put(t, s, "a2", []byte("y"))
	require.NoError(t, s.Delete(t.Context(), ref("a")))
	_, err := s.Get(t.Context(), ref("a"), storage.Whole())
	requireKind(t, fault.NotFound, err)
	require.NoError(t, s.Delete(t.Context(), ref("a")), "a repeat")
	got, err := Read(t, s, "a2", storage.Whole())
	require.NoError(t, err)
	require.Equal(t, "y", string(got))
	Put(t, s, "a", []byte("again"))
	got, err = Read(t, s, "a", storage.Whole())
	require.NoError(t, err)
	require.Equal(t, "again", string(got))
}

func testUnchecked(t *testing.T, s storage.Store) {
	_, err := storage.GetUnchecked(t.Context(), s, ref("a"))
	requireKind(t, fault.NotFound, err)
	_, err = storage.GetUnchecked(t.Context(), s, ref("../a"))
	requireKind(t, fault.Invalid, err)
	for _, n := range []int{0, 10, 128<<10 + 7, 3_000_000} {
		data := Bytes(n, 7)
		Put(t, s, "a", data)
		obj, err := storage.GetUnchecked(t.Context(), s, ref("a"))
		require.NoError(t, err)
		got, err := io.ReadAll(obj.Body)
		require.NoError(t, err)
		require.NoError(t, obj.Body.Close())
		require.True(t, bytes.Equal(data, got))
		require.Equal(t, []any{Digest(data), int64(n), int64(0), int64(n)}, []any{obj.SHA256, obj.Size, obj.Offset, obj.Length})
	}
}

func testSpans(t *testing.T, s storage.Store) {
	for _, n := range []int64{10, 128<<10 + 7, 3_000_000} {
		data := Bytes(int(n), 6)
		Put(t, s, "a", data)
		for _, c := range []struct {
			span     storage.Span
			from, to int64
		}{
			{storage.Whole(), 0, n},
			{storage.Span{Offset: 0, Length: 1}, 0, 1},
			{storage.Span{Offset: 0, Length: n}, 0, n},
			{storage.Span{Offset: 0, Length: n + 1}, 0, n},
			{storage.Span{Offset: 3, Length: 4}, 3, 7},
			{storage.Span{Offset: 3, Length: -1}, 3, n},
			{storage.Span{Offset: 3, Length: math.MaxInt64}, 3, n},
			{storage.Span{Offset: n - 1, Length: -1}, n - 1, n},
			{storage.Span{Offset: n - 2, Length: 9}, n - 2, n},
			{storage.Span{Offset: -1}, n - 1, n},
			{storage.Span{Offset: -4, Length: 1}, n - 4, n},
			{storage.Span{Offset: -n}, 0, n},
			{storage.Span{Offset: -n - 1, Length: -1}, 0, n},
			{storage.Span{Offset: math.MinInt64}, 0, n},
		} {
			obj, err := s.Get(t.Context(), ref("a"), c.span)
			require.NoError(t, err, c.span)
			require.Equal(t, []int64{c.from, c.to - c.from, n}, []int64{obj.Offset, obj.Length, obj.Size}, c.span)
			require.Equal(t, Digest(data), obj.SHA256)
			require.NoError(t, obj.Body.Close())
			got, err := Read(t, s, "a", c.span)
			require.NoError(t, err, c.span)
			require.Equal(t, Digest(data[c.from:c.to]), Digest(got), c.span)
		}
		for _, span := range []storage.Span{
			{Offset: n, Length: -1}, {Offset: n, Length: 1}, {Offset: n + 5, Length: 3}, {Offset: math.MaxInt64, Length: -1},
		} {
			_, err := s.Get(t.Context(), ref("a"), span)
			requireKind(t, fault.Range, err, span)
		}
		_, err := s.Get(t.Context(), ref("a"), storage.Span{})
		requireKind(t, fault.Invalid, err, "a span of no bytes")
	}
}

func testEmptySpans(t *testing.T, s storage.Store) {
	Put(t, s, "a", nil)
	for _, span := range []storage.Span{storage.Whole(), {Offset: -5}} {
		got, err := Read(t, s, "a", span)
		require.NoError(t, err)
		require.Empty(t, got)
	}
	for _, span := range []storage.Span{{Offset: 0, Length: 1}, {Offset: 1, Length: -1}} {
		_, err := s.Get(t.Context(), ref("a"), span)
		requireKind(t, fault.Range, err, span)
	}
}
