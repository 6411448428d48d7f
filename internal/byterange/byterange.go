// Package byterange is the one meaning of "some bytes of an object" in
// imagemill: a [Span], read from an HTTP Range header, resolved against a size,
// and written as Content-Range (RFC 9110, section 14).
//
// It knows single byte ranges only. Several ranges, unknown units and malformed
// headers count as no range at all, which RFC 9110 allows: the answer is then
// the whole object. It moves no bytes itself.
package byterange

import (
	"fmt"
	"math"

	"imagemill/internal/fault"
)

// Span selects bytes of an object. Offset ≥ 0 counts from the start; Offset < 0
// selects the last -Offset bytes (all, if there are fewer) and ignores Length.
// Length < 0 means to the end; a Length beyond the end is cut there; a Length
// of 0 is refused, as it is most likely a forgotten [Whole].
type Span struct {
	Offset, Length int64
}

// Whole selects all of an object, also of an empty one.
func Whole() Span { return Span{Offset: 0, Length: -1} }

// IsWhole reports whether s selects everything, whatever the size.
func (s Span) IsWhole() bool { return s.Offset == 0 && s.Length < 0 }

// Validate gives fault.Invalid for a span that can never select anything.
func (s Span) Validate() error {
	if s.Offset >= 0 && s.Length == 0 {
		return fault.New(fault.Invalid, "a span of no bytes was asked for").WithField("span")
	}
	return nil
}

// Resolve gives the bytes that s selects of an object of size bytes. A span
// that starts at or beyond the end, and is not the whole, is fault.Range; one
// of no bytes is fault.Invalid. The last n bytes of an empty object are none.
func (s Span) Resolve(size int64) (offset, length int64, err error) {
	if err := s.Validate(); err != nil {
		return 0, 0, err
	}
	switch {
	case s.IsWhole():
		return 0, size, nil
	case s.Offset < 0:
		// Compared without negating: -math.MinInt64 would overflow.
		if s.Offset <= -size {
			return 0, size, nil
		}
		return size + s.Offset, -s.Offset, nil
	case s.Offset >= size:
		return 0, 0, fault.Newf(fault.Range, "the range starts beyond the end: there are %d bytes", size)
	case s.Length < 0 || s.Length > size-s.Offset:
		return s.Offset, size - s.Offset, nil
	}
	return s.Offset, s.Length, nil
}

// Header writes s as the value of a Range header, "" for the whole.
func (s Span) Header() string {
	switch {
	case s.IsWhole():
		return ""
	case s.Offset < 0:
		return fmt.Sprintf("bytes=-%d", max(s.Offset, -math.MaxInt64)*-1)
	case s.Length < 0 || s.Length > math.MaxInt64-s.Offset:
		return fmt.Sprintf("bytes=%d-", s.Offset)
	}
	return fmt.Sprintf("bytes=%d-%d", s.Offset, s.Offset+s.Length-1)
}
