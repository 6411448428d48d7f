package imaging

import "encoding/binary"

// plane is one channel of a picture: w×h bytes, rows stride apart.
type plane struct {
	pix    []uint8
	stride int
	w, h   int
}

func newPlane(w, h int) plane { return plane{make([]uint8, w*h), w, w, h} }

// row is one line of pixels.
func (p plane) row(y int) []uint8 { return p.pix[y*p.stride:][:p.w:p.w] }

// maxBox is the largest factor of box: that many bytes add up in 16 bits.
const maxBox = 256

// boxed averages squares of factor×factor pixels, 1 < factor <= maxBox. What is
// left over at the right and the bottom becomes a pixel of its own, so that the
// result covers the picture and up to factor-1 pixels more. It is a poor filter,
// but it touches each byte of a large picture once, eight at a time; a good one
// follows on what it leaves.
func boxed(src plane, factor int) plane {
	out := newPlane((src.w+factor-1)/factor, (src.h+factor-1)/factor)
	// Two lanes arrays: sums of the even and of the odd columns.
	words := src.w / 8
	even, odd := make([]uint64, words), make([]uint64, words)
	tail := make([]uint16, src.w-8*words)
	sums := make([]uint16, 8*words+len(tail))
	for y := range out.h {
		top := y * factor
		rows := min(factor, src.h-top)
		if words > 0 {
			addRows(even, odd, src.pix[top*src.stride:], src.stride, rows)
		}
		clear(tail)
		for r := top; r < top+rows; r++ {
			for i, v := range src.row(r)[8*words:] {
				tail[i] += uint16(v)
			}
		}
		spread(sums, even, odd)
		copy(sums[8*words:], tail)
		average(out.row(y), sums, factor, rows)
	}
	return out
}

// addRows sets even and odd to the sums of rows, by column. Each word holds four
// sums of 16 bits.
func addRows(even, odd []uint64, pix []uint8, stride, rows int) {
	const lanes = 0x00ff00ff00ff00ff
	odd = odd[:len(even)]
	for i := range even {
		var e, o uint64
		at := 8 * i
		for range rows {
			v := binary.LittleEndian.Uint64(pix[at:])
			e += v & lanes
			o += v >> 8 & lanes
			at += stride
		}
		even[i], odd[i] = e, o
	}
}

// spread puts the sums into the order of the columns.
func spread(sums []uint16, even, odd []uint64) {
	odd = odd[:len(even)]
	for i, e := range even {
		o, s := odd[i], sums[8*i:8*i+8:8*i+8]
		//nolint:gosec // each is the next 16 bits
		s[0], s[1], s[2], s[3] = uint16(e), uint16(o), uint16(e>>16), uint16(o>>16)
		//nolint:gosec // each is the next 16 bits
		s[4], s[5], s[6], s[7] = uint16(e>>32), uint16(o>>32), uint16(e>>48), uint16(o>>48)
	}
}

// average adds up factor sums each and divides by the number of pixels.
func average(out []uint8, sums []uint16, factor, rows int) {
	full := len(sums) / factor
	inverse, half := reciprocal(factor*rows), uint32(factor*rows/2) //nolint:gosec // at most maxBox squared
	for x := range full {
		var sum uint32
		for _, v := range sums[x*factor : x*factor+factor] {
			sum += uint32(v)
		}
		out[x] = uint8(uint64(sum+half) * inverse >> 32) //nolint:gosec // a mean of bytes
	}
	if full < len(out) {
		rest := sums[full*factor:]
		n := uint32(len(rest) * rows) //nolint:gosec // less than maxBox squared
		sum := n / 2
		for _, v := range rest {
			sum += uint32(v)
		}
		out[full] = uint8(sum / n) //nolint:gosec // a mean of bytes
	}
}

// reciprocal is 2³²/n, rounded up: sums of 24 bits times it, shifted back by 32,
// are divided by n exactly.
func reciprocal(n int) uint64 { return (1<<32 + uint64(n) - 1) / uint64(n) } //nolint:gosec // n is positive
