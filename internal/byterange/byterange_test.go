package byterange_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/byterange"
	"imagemill/internal/fault"
)

func ExampleParse() {
	span, ok := byterange.Parse("bytes=-100")
	offset, length, err := span.Resolve(1000)
	fmt.Println(ok, byterange.ContentRange(offset, length, 1000), err)
	// Output: true bytes 900-999/1000 <nil>
}

func TestParse(t *testing.T) {
	const huge = "99999999999999999999"
	for header, want := range map[string]byterange.Span{
		"bytes=0-0":              {Offset: 0, Length: 1},
		"bytes=0-":               {Offset: 0, Length: -1},
		"bytes=5-9":              {Offset: 5, Length: 5},
		"Bytes = 5-9":            {Offset: 5, Length: 5},
		"bytes= 5-9 ":            {Offset: 5, Length: 5},
		"bytes=-7":               {Offset: -7, Length: -1},
		"bytes=-0":               {Offset: math.MaxInt64, Length: -1},
		"bytes=3-" + huge:        {Offset: 3, Length: math.MaxInt64 - 2},
		"bytes=0-" + huge:        {Offset: 0, Length: -1},
		"bytes=-" + huge:         {Offset: -math.MaxInt64, Length: -1},
		"bytes=" + huge + "-":    {Offset: math.MaxInt64, Length: -1},
		"bytes=00000000000000-1": {Offset: 0, Length: 2},
	} {
		got, ok := byterange.Parse(header)
		require.True(t, ok, header)
		require.Equal(t, want, got, header)
	}
	for _, header := range []string{
		"", "bytes", "bytes=", "bytes=-", "bytes=9-5", "bytes=a-b", "bytes=+1-2", "bytes=1-2,4-5", "bytes=--1",
		"items=0-5", "bytes=1-2-3", "bytes=1", "0-5", "bytes=0x1-2", "bytes=1 -2", "bytes=\x00-1",
	} {
		got, ok := byterange.Parse(header)
		require.False(t, ok, header)
		require.Equal(t, byterange.Whole(), got, header)
	}
}

func TestResolve(t *testing.T) {
	for _, c := range []struct {
		span                 byterange.Span
		size, offset, length int64
		kind                 fault.Kind
	}{
		{byterange.Whole(), 0, 0, 0, ""},
		{byterange.Whole(), 10, 0, 10, ""},
		{byterange.Span{Offset: 3, Length: 4}, 10, 3, 4, ""},
		{byterange.Span{Offset: 3, Length: 99}, 10, 3, 7, ""},
		{byterange.Span{Offset: 3, Length: math.MaxInt64}, 10, 3, 7, ""},
		{byterange.Span{Offset: 9, Length: -1}, 10, 9, 1, ""},
		{byterange.Span{Offset: -3, Length: 0}, 10, 7, 3, ""},
		{byterange.Span{Offset: -10}, 10, 0, 10, ""},
		{byterange.Span{Offset: -11}, 10, 0, 10, ""},
		{byterange.Span{Offset: math.MinInt64}, 10, 0, 10, ""},
		{byterange.Span{Offset: -3}, 0, 0, 0, ""},
		{byterange.Span{Offset: 10, Length: -1}, 10, 0, 0, fault.Range},
		{byterange.Span{Offset: math.MaxInt64, Length: -1}, 10, 0, 0, fault.Range},
		{byterange.Span{Offset: 0, Length: 5}, 0, 0, 0, fault.Range},
		{byterange.Span{}, 10, 0, 0, fault.Invalid},
		{byterange.Span{Offset: 4}, 10, 0, 0, fault.Invalid},
	} {
		offset, length, err := c.span.Resolve(c.size)
		require.Equal(t, c.kind, fault.KindOf(err), "%+v of %d", c.span, c.size)
		require.Equal(t, []int64{c.offset, c.length}, []int64{offset, length}, "%+v of %d", c.span, c.size)
	}
}

// What a client writes, a server must read as the same span.
func TestHeaderRoundTrip(t *testing.T) {
	require.Empty(t, byterange.Whole().Header())
	for _, s := range []byterange.Span{
		{Offset: 0, Length: 1}, {Offset: 7, Length: 1 << 40}, {Offset: 7, Length: -1}, {Offset: -9, Length: -1},
		{Offset: math.MinInt64, Length: -1}, {Offset: math.MaxInt64, Length: 5}, {Offset: 5, Length: math.MaxInt64},
	} {
		got, ok := byterange.Parse(s.Header())
		require.True(t, ok, s.Header())
		for _, size := range []int64{1, 8, 1000, math.MaxInt64} {
			o1, l1, err1 := s.Resolve(size)
			o2, l2, err2 := got.Resolve(size)
			require.Equal(t, fault.KindOf(err1), fault.KindOf(err2))
			if s.Offset == math.MinInt64 && size == math.MaxInt64 {
				continue // one byte short of int64's own range
			}
			require.Equal(t, []int64{o1, l1}, []int64{o2, l2}, "%+v of %d", s, size)
		}
	}
}

func TestContentRange(t *testing.T) {
	offset, length, size, ok := byterange.ParseContentRange(byterange.ContentRange(5, 10, 100))
	require.True(t, ok)
	require.Equal(t, []int64{5, 10, 100}, []int64{offset, length, size})
	require.Equal(t, "bytes */7", byterange.Unsatisfied(7))
	for _, h := range []string{"", "bytes 5-4/9", "bytes */9", "bytes 0-9/9", "bytes 0-1", "items 0-1/2", "bytes 0-1/*"} {
		_, _, _, ok := byterange.ParseContentRange(h)
		require.False(t, ok, h)
	}
}

// FuzzParse holds that no header leads outside the object.
func FuzzParse(f *testing.F) {
	f.Add("bytes=0-5", int64(3))
	f.Add("bytes=-5", int64(0))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		span, _ := byterange.Parse(header)
		offset, length, err := span.Resolve(size)
		if err == nil && (offset < 0 || length < 0 || offset > size || length > size-offset) {
			t.Fatalf("%q of %d: %d+%d", header, size, offset, length)
		}
	})
}
