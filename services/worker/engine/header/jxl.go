package header

import (
	"encoding/binary"

	"imagemill/services/worker/engine"
)

// maxCodestream is how much of a JPEG XL's codestream is read, in bytes: its
// headers are much shorter, unless channels have long names.
const maxCodestream = 8 << 10

// readJXL reads the headers of a codestream, which stands alone or in boxes
// (ISO/IEC 18181-1 and -2). Decoders set the picture upright themselves: its size
// is that of the upright one, its Orientation 1.
func readJXL(s *source, info *Info) bool {
	if b := s.bytes(0, 2); len(b) == 2 && b[0] == 0xff {
		return codestream(s.whole(0, maxCodestream), info)
	}
	found := false
	for at := int64(0); s.step(); {
		b := s.bytes(at, 16)
		if len(b) < 8 {
			break
		}
		size, head := int64(binary.BigEndian.Uint32(b)), int64(8)
		switch {
		case size == 0:
			size = s.size - at
		case size == 1 && len(b) == 16:
			size, head = int64(min(binary.BigEndian.Uint64(b[8:]), 1<<62)), 16
		}
		if size < head {
			break
		}
		const index = 4 // a part says first which one it is, metadata where they begin
		switch kind, body := string(b[4:8]), size-head; {
		case kind == "jxlc" && !found:
			found = codestream(s.whole(at+head, min(body, maxCodestream)), info)
		case kind == "jxlp" && !found && body > index:
			found = codestream(s.whole(at+head+index, min(body-index, maxCodestream)), info)
		case kind == "Exif" && body > index:
			s.firstExif(info, func() []byte { return s.whole(at+head+index, min(body-index, maxBlock)) })
		}
		if at += size; at >= s.size {
			break
		}
	}
	info.Orientation = 1
	return found
}

// bits reads bits from the lowest upwards. What lies beyond the end is 0, and
// short is set.
type bits struct {
	b     []byte
	at    int
	short bool
}

func (r *bits) read(n int) int {
	v := 0
	for i := range n {
		if r.at/8 >= len(r.b) {
			r.short = true
			return 0
		}
		v |= int(r.b[r.at/8]>>(r.at%8)&1) << i
		r.at++
	}
	return v
}

func (r *bits) flag() bool { return r.read(1) == 1 }

// number reads one of four kinds of numbers: a base, and bits that are added.
func (r *bits) number(kinds [4][2]int) int {
	k := kinds[r.read(2)]
	return k[0] + r.read(k[1])
}

// The kinds of numbers of a codestream.
var (
	jxlSides     = [4][2]int{{1, 9}, {1, 13}, {1, 18}, {1, 30}}
	jxlEnum      = [4][2]int{{0, 0}, {1, 0}, {2, 4}, {18, 6}}
	jxlDepth     = [4][2]int{{8, 0}, {10, 0}, {12, 0}, {1, 6}}
	jxlFloat     = [4][2]int{{32, 0}, {16, 0}, {24, 0}, {1, 6}}
	jxlExtra     = [4][2]int{{0, 0}, {1, 0}, {2, 4}, {1, 12}}
	jxlShift     = [4][2]int{{0, 0}, {3, 0}, {4, 0}, {1, 3}}
	jxlName      = [4][2]int{{0, 0}, {0, 4}, {16, 5}, {48, 10}}
	jxlFilter    = [4][2]int{{1, 0}, {0, 2}, {3, 4}, {19, 8}}
	jxlTicks     = [4][2]int{{100, 0}, {1000, 0}, {1, 10}, {1, 30}}
	jxlPer       = [4][2]int{{1, 0}, {1001, 0}, {1, 8}, {1, 10}}
	jxlLoops     = [4][2]int{{0, 0}, {0, 3}, {0, 16}, {0, 32}}
	previewSmall = [4][2]int{{16, 0}, {32, 0}, {1, 5}, {33, 9}}
	previewSide  = [4][2]int{{1, 6}, {65, 8}, {321, 10}, {1345, 12}}
	jxlRatios    = [8][2]int{{}, {1, 1}, {12, 10}, {4, 3}, {3, 2}, {16, 9}, {5, 4}, {2, 1}}
)

// Values of enumerations of a codestream.
const (
	jxlAlpha, jxlSpot, jxlCFA = 0, 2, 5 // sorts of channels beside the colours
	jxlGrey                   = 1       // a colour space
)

// size reads a size header.
func (r *bits) size() (w, h int) {
	side := func() int { return r.number(jxlSides) }
	if r.flag() {
		side = func() int { return (r.read(5) + 1) * 8 }
	}
	h = side()
	if ratio := r.read(3); ratio != 0 {
		return h * jxlRatios[ratio][0] / jxlRatios[ratio][1], h
	}
	return side(), h
}

// codestream reads the headers of a codestream as far as they tell how its pixels
// will be.
func codestream(b []byte, info *Info) bool {
	if len(b) < 3 || b[0] != 0xff || b[1] != 0x0a {
		return false
	}
	r := &bits{b: b[2:]}
	info.Width, info.Height = r.size()
	info.Depth, info.Bands, info.Alpha = 8, 3, false
	if standard := r.flag(); standard {
		info.Profile = engine.ProfileSRGB
		return !r.short
	}
	if r.flag() && r.extra(info) > 4 {
		info.Width, info.Height = info.Height, info.Width
	}
	info.Depth = r.depth()
	r.read(1) // whether 16 bits are enough
	n := r.number(jxlExtra)
	for range n {
		if r.short {
			break
		}
		info.Alpha = r.channel() == jxlAlpha || info.Alpha
	}
	r.read(1) // whether colours are stored as XYB
	if standard := r.flag(); standard {
		info.Profile = engine.ProfileSRGB
	} else {
		r.read(1) // whether a profile follows
		if r.number(jxlEnum) == jxlGrey {
			info.Bands = 1
		}
	}
	if info.Alpha {
		info.Bands++
	}
	return !r.short
}

// extra reads the fields that most pictures do without, and gives the orientation.
func (r *bits) extra(info *Info) (orientation int) {
	orientation = 1 + r.read(3)
	if r.flag() { // the size at which it is meant to be shown
		r.size()
	}
	if r.flag() { // a preview
		side := previewSide
		if r.flag() {
			side = previewSmall
		}
		r.number(side)
		if r.read(3) == 0 {
			r.number(side)
		}
	}
	if info.Moving = r.flag(); info.Moving {
		r.number(jxlTicks)
		r.number(jxlPer)
		r.number(jxlLoops)
		r.read(1) // whether frames have time codes
	}
	return orientation
}

// depth reads how many bits a value has.
func (r *bits) depth() int {
	if r.flag() {
		n := r.number(jxlFloat)
		r.read(4) // of which are the exponent
		return n
	}
	return r.number(jxlDepth)
}

// channel reads what a channel beside the colours is, and gives its sort.
func (r *bits) channel() int {
	if r.flag() {
		return jxlAlpha
	}
	sort := r.number(jxlEnum)
	r.depth()
	r.number(jxlShift)
	for range r.number(jxlName) {
		if r.short {
			break
		}
		r.read(8)
	}
	switch sort {
	case jxlAlpha:
		r.read(1) // whether colours are multiplied by it
	case jxlSpot:
		for range 4 {
			r.read(16)
		}
	case jxlCFA:
		r.number(jxlFilter)
	}
	return sort
}
