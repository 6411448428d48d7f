package imaging

import (
	"encoding/binary"
	"math"
)

// fixed16 reads a signed number with sixteen bits behind the point.
func fixed16(b []byte) float64 {
	return float64(int32(binary.BigEndian.Uint32(b))) / 65536 //nolint:gosec // the field is signed
}

// toneCurve fills a table from values to light; false when it cannot be read.
func toneCurve(to *[256]float32, tag []byte) bool {
	if len(tag) < 12 {
		return false
	}
	f := curveOf(tag)
	if f == nil {
		return false
	}
	for i := range to {
		v := f(float64(i) / 255)
		if math.IsNaN(v) {
			return false
		}
		to[i] = float32(min(max(v, 0), 1))
	}
	return true
}

// curve turns a value of 0 to 1 into another.
type curve func(v float64) float64

// curveOf reads a curve of either kind, of at least twelve bytes; nil for any
// other and for one that is not wholly there.
func curveOf(tag []byte) curve {
	switch string(tag[:4]) {
	case "curv":
		return sampled(tag)
	case "para":
		return formula(tag)
	}
	return nil
}

// sampled is a curve of samples, or of one exponent.
func sampled(tag []byte) curve {
	n := int64(binary.BigEndian.Uint32(tag[8:]))
	at := func(i int64) float64 { return float64(binary.BigEndian.Uint16(tag[12+2*i:])) }
	switch {
	case n > int64(len(tag)-12)/2:
		return nil
	case n == 0:
		return func(v float64) float64 { return v }
	case n == 1:
		return func(v float64) float64 { return math.Pow(v, at(0)/256) }
	}
	return func(v float64) float64 {
		place := v * float64(n-1)
		low := min(int64(place), n-2)
		part := place - float64(low)
		return (at(low)*(1-part) + at(low+1)*part) / 65535
	}
}

// formula is one of the five parametric curves.
func formula(tag []byte) curve {
	kind := binary.BigEndian.Uint16(tag[8:])
	if kind > 4 {
		return nil
	}
	var p [7]float64 // g a b c d e f
	need := [5]int{1, 3, 4, 5, 7}[kind]
	if len(tag) < 12+4*need {
		return nil
	}
	for i := range need {
		p[i] = fixed16(tag[12+4*i:])
	}
	g, a, b, c, d, e, f := p[0], p[1], p[2], p[3], p[4], p[5], p[6]
	power := func(v float64) float64 { return math.Pow(math.Max(a*v+b, 0), g) }
	switch kind {
	case 0:
		return func(v float64) float64 { return math.Pow(v, g) }
	case 1, 2:
		// Below -b/a the curve is flat, at c in the second kind.
		return func(v float64) float64 { return power(v) + c }
	case 3:
		e = 0
	}
	return func(v float64) float64 {
		if v >= d {
			return power(v) + e
		}
		return c*v + f
	}
}
