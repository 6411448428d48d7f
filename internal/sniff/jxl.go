package sniff

import "strings"

// jxlSize reads the size header of a codestream, which stands alone or in a box.
func jxlSize(b []byte) (w, h int, ok bool) {
	if strings.HasPrefix(string(b[:2]), "\xff\x0a") {
		return codestreamSize(b)
	}
	const index = 4 // a part says first which one it is
	boxes(b, func(kind string, body []byte) bool {
		switch {
		case kind == "jxlc":
			w, h, ok = codestreamSize(body)
		case kind == "jxlp" && len(body) > index:
			w, h, ok = codestreamSize(body[index:])
		default:
			return true
		}
		return false
	})
	return w, h, ok
}

// bitReader reads bits from the lowest upwards. What lies beyond the end is 0,
// and short is set.
type bitReader struct {
	b     []byte
	at    int
	short bool
}

func (r *bitReader) read(n int) int {
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

// side reads a side of a picture in the longer form.
func (r *bitReader) side() int { return r.read([]int{9, 13, 18, 30}[r.read(2)]) + 1 }

// ratios are width to height for the picture whose width is not written.
var ratios = [][2]int{1: {1, 1}, 2: {12, 10}, 3: {4, 3}, 4: {3, 2}, 5: {16, 9}, 6: {5, 4}, 7: {2, 1}}

// codestreamSize reads the size header behind the two bytes of magic.
func codestreamSize(b []byte) (w, h int, ok bool) {
	if len(b) < 3 || string(b[:2]) != "\xff\x0a" {
		return 0, 0, false
	}
	r := &bitReader{b: b[2:]}
	side := r.side
	if small := r.read(1) == 1; small {
		side = func() int { return (r.read(5) + 1) * 8 }
	}
	h = side()
	if ratio := r.read(3); ratio == 0 {
		w = side()
	} else {
		w = h * ratios[ratio][0] / ratios[ratio][1]
	}
	return w, h, !r.short && w > 0
}
