package byterange

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Parse reads the value of a Range header. It gives ok = false, and the whole,
// for what is to be answered as if there were no range: an empty or malformed
// header, an unknown unit, several ranges. "bytes=-0" parses, and resolves to
// fault.Range for every size.
func Parse(header string) (s Span, ok bool) {
	unit, set, found := strings.Cut(header, "=")
	if !found || !strings.EqualFold(strings.TrimSpace(unit), "bytes") || strings.Contains(set, ",") {
		return Whole(), false
	}
	first, last, found := strings.Cut(strings.Trim(set, " \t"), "-")
	if !found {
		return Whole(), false
	}
	from, hasFrom := number(first)
	to, hasTo := number(last)
	switch {
	case first == "" && hasTo:
		if to == 0 {
			return Span{Offset: math.MaxInt64, Length: -1}, true
		}
		return Span{Offset: -to, Length: -1}, true
	case hasFrom && last == "":
		return Span{Offset: from, Length: -1}, true
	case hasFrom && hasTo && from <= to:
		if to-from == math.MaxInt64 {
			return Span{Offset: from, Length: -1}, true
		}
		return Span{Offset: from, Length: to - from + 1}, true
	}
	return Whole(), false
}

// number reads digits only; one beyond the largest int64 counts as that.
func number(s string) (int64, bool) {
	for _, b := range []byte(s) {
		if b < '0' || b > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if s == "" {
		return 0, false
	}
	if err != nil || n > math.MaxInt64 {
		return math.MaxInt64, true
	}
	return int64(n), true
}

// ContentRange writes the header of a 206 answer: length bytes, at least one,
// from offset, of an object of size bytes.
func ContentRange(offset, length, size int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", offset, offset+length-1, size)
}

// Unsatisfied writes the Content-Range header of a 416 answer.
func Unsatisfied(size int64) string { return fmt.Sprintf("bytes */%d", size) }

// ParseContentRange reads what ContentRange writes, in a client.
func ParseContentRange(header string) (offset, length, size int64, ok bool) {
	rest, found := strings.CutPrefix(header, "bytes ")
	span, total, found2 := strings.Cut(rest, "/")
	first, last, found3 := strings.Cut(span, "-")
	from, ok1 := number(first)
	to, ok2 := number(last)
	size, ok3 := number(total)
	if !found || !found2 || !found3 || !ok1 || !ok2 || !ok3 || from > to || to >= size {
		return 0, 0, 0, false
	}
	return from, to - from + 1, size, true
}
