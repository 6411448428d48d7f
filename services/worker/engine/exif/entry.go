package exif

import (
	"math"
	"strings"
	"unicode"
)

// Entry is one field of a directory.
type Entry struct {
	Tag    uint16
	kind   uint16
	count  int64
	inline [4]byte
	file   *File
}

// Offset is the entry's value as the place of something else in the file: of
// another directory, of pixels, of a profile.
func (e Entry) Offset() int64 { return int64(e.file.order.Uint32(e.inline[:])) }

// Size is the length of the value in bytes.
func (e Entry) Size() int64 {
	if int(e.kind) >= len(sizes) {
		return 0
	}
	return e.count * sizes[e.kind]
}

// raw gives the value's bytes, at most maxValue.
func (e Entry) raw() []byte {
	size := e.Size()
	if size <= 4 {
		return e.inline[:size]
	}
	return e.file.read(e.Offset(), min(size, maxValue))
}

// Int is the first whole number of the value; false when it has none.
func (e Entry) Int() (int64, bool) {
	numbers := e.Numbers()
	if len(numbers) == 0 || numbers[0] != math.Trunc(numbers[0]) {
		return 0, false
	}
	return int64(numbers[0]), true
}

// Numbers gives the value as numbers; a fraction without a denominator, and
// what is no number, is left out.
func (e Entry) Numbers() []float64 {
	var out []float64
	order := e.file.order
	for b := e.raw(); ; {
		size := 0
		if int(e.kind) < len(sizes) {
			size = int(sizes[e.kind])
		}
		if size == 0 || len(b) < size {
			return out
		}
		switch e.kind {
		case typeByte:
			out = append(out, float64(b[0]))
		case typeShort:
			out = append(out, float64(order.Uint16(b)))
		case typeLong:
			out = append(out, float64(order.Uint32(b)))
		case typeSLong:
			out = append(out, float64(int32(order.Uint32(b)))) //nolint:gosec // the field is signed
		case typeRational:
			out = quotient(out, float64(order.Uint32(b)), float64(order.Uint32(b[4:])))
		case typeSRational:
			//nolint:gosec // the fields are signed
			out = quotient(out, float64(int32(order.Uint32(b))), float64(int32(order.Uint32(b[4:]))))
		default:
			return out
		}
		b = b[size:]
	}
}

func quotient(out []float64, num, den float64) []float64 {
	if den == 0 {
		return out
	}
	return append(out, num/den)
}

// Text is the value of a text field, without what cannot be shown.
func (e Entry) Text() string {
	if e.kind != typeASCII && e.kind != typeUndefined {
		return ""
	}
	text, _, _ := strings.Cut(string(e.raw()), "\x00")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return strings.TrimSpace(text)
}
