package imaging

import "image"

// window is the part of a picture that is resampled, in pixels and parts of them.
type window struct{ x, y, w, h float64 }

// filter is how a window of a plane becomes another size. Planes of one size
// share it.
type filter struct {
	across, down []taps
	widthFirst   bool
}

// newFilter works out a filter for planes of size from.X×from.Y.
func newFilter(from image.Point, part window, w, h int) filter {
	f := filter{across: lanczosTaps(w, from.X, part.x, part.w), widthFirst: widthFirst(part, w, h)}
	if from.X == from.Y && w == h && part.x == part.y && part.w == part.h {
		f.down = f.across
	} else {
		f.down = lanczosTaps(h, from.Y, part.y, part.h)
	}
	return f
}

// apply scales a plane by Lanczos, first the axis that leaves less to do for the
// second.
func (f filter) apply(src plane) plane {
	if f.widthFirst {
		lo, hi := reach(f.down)
		return vertical(horizontal(src, f.across, lo, hi), shifted(f.down, lo))
	}
	lo, hi := reach(f.across)
	narrow := src
	narrow.pix, narrow.w = src.pix[lo:], hi-lo
	middle := vertical(narrow, f.down)
	return horizontal(middle, shifted(f.across, lo), 0, middle.h)
}

// widthFirst tells which axis first makes the smaller picture in between.
func widthFirst(part window, w, h int) bool { return float64(w)*part.h <= part.w*float64(h) }

// reach gives the first pixel that any tap needs, and the one after the last.
func reach(all []taps) (lo, hi int) {
	lo = all[0].first
	for _, t := range all {
		lo, hi = min(lo, t.first), max(hi, t.first+len(t.weights))
	}
	return lo, hi
}

// shifted moves taps by as many pixels as were cut off in front.
func shifted(all []taps, by int) []taps {
	if by == 0 {
		return all
	}
	out := make([]taps, len(all))
	for i, t := range all {
		out[i] = taps{t.first - by, t.weights}
	}
	return out
}

// horizontal scales the lines lo to hi across, three of them at a time.
func horizontal(src plane, across []taps, lo, hi int) plane {
	out := newPlane(len(across), hi-lo)
	words := make([]uint64, src.w)
	for y := lo; y < hi; y += 3 {
		a, b, c := src.row(y), src.row(min(y+1, hi-1)), src.row(min(y+2, hi-1))
		b, c = b[:len(a)], c[:len(a)]
		for i, v := range a {
			words[i] = packLanes(v, b[i], c[i])
		}
		// A line that is not there is a copy of the last one, and written as such.
		p, q, r := out.row(y-lo), out.row(min(y+1, hi-1)-lo), out.row(min(y+2, hi-1)-lo)
		q, r = q[:len(p)], r[:len(p)]
		for i, t := range across[:len(p)] {
			p[i], q[i], r[i] = unpackLanes(weigh(words, t))
		}
	}
	return out
}

// vertical scales columns, three of them at a time: the lines are packed once,
// a third of a line beside the next third.
func vertical(src plane, down []taps) plane {
	out := newPlane(src.w, len(down))
	third := (src.w + 2) / 3
	memory := make([]uint64, third*(src.h+1))
	sums, lines := memory[:third], memory[third:]
	padded := make([]uint8, 3*third)
	for y := range src.h {
		copy(padded, src.row(y))
		packThirds(lines[y*third:][:third], padded)
	}
	for y, t := range down {
		clear(sums)
		for i, w := range t.weights {
			addWeighed(sums, lines[(t.first+i)*third:], w)
		}
		a, b, c := padded[:third], padded[third:][:third], padded[2*third:][:third]
		for i, v := range sums {
			a[i], b[i], c[i] = unpackLanes(v)
		}
		copy(out.row(y), padded)
	}
	return out
}

// packThirds joins the three thirds of a line.
func packThirds(to []uint64, line []uint8) {
	n := len(to)
	a, b, c := line[:n], line[n:][:n], line[2*n:][:n]
	for i := range to {
		to[i] = packLanes(a[i], b[i], c[i])
	}
}
