package smalljpeg

import "encoding/binary"

// bits reads the entropy-coded data: the next bits stand at the top of acc.
type bits struct {
	data []byte
	at   int
	acc  uint64
	n    int // valid bits in acc
	pad  int // bits of nothing in acc and behind it, after the end
}

// fill makes at least 48 bits valid. Behind the data come zeros, counted in pad.
func (b *bits) fill() {
	if b.at+8 <= len(b.data) {
		v := binary.BigEndian.Uint64(b.data[b.at:])
		if hasFF(v) == 0 {
			b.acc |= v >> b.n
			more := (63 - b.n) >> 3
			b.at += more
			b.n += more << 3
			return
		}
	}
	for b.n <= 56 {
		var v byte
		switch {
		case b.at >= len(b.data):
			b.pad += 8
		case b.data[b.at] != 0xff:
			v = b.data[b.at]
			b.at++
		case b.at+1 < len(b.data) && b.data[b.at+1] == 0:
			v = 0xff
			b.at += 2
		default: // a marker: nothing follows
			b.pad += 8
		}
		b.acc |= uint64(v) << (56 - b.n)
		b.n += 8
	}
}

// hasFF has a bit set when a byte of v is 0xff.
func hasFF(v uint64) uint64 {
	v = ^v // now a byte that is zero
	return (v - 0x0101010101010101) & ^v & 0x8080808080808080
}

// overrun reports whether more was read than there is.
func (b *bits) overrun() bool { return b.n < b.pad }

// next begins again behind a restart marker; false when it is not there.
func (b *bits) next(number int) bool {
	if b.overrun() || b.n-b.pad >= 8 || b.at+2 > len(b.data) || b.data[b.at] != 0xff || b.data[b.at+1] != 0xd0+byte(number&7) {
		return false
	}
	b.at += 2
	b.acc, b.n, b.pad = 0, 0, 0
	return true
}
