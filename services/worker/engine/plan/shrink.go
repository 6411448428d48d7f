package plan

import "imagemill/services/worker/engine"

// maxShrink is the strongest shrinking that decoders offer.
const maxShrink = 8

// shrink is the largest power of two at which every rendition still has all the
// pixels that it needs.
func shrink(shapes []shape, original engine.Picture, can engine.Abilities) int {
	if !can.Shrink(original.Format) {
		return 1
	}
	by := maxShrink
	for _, s := range shapes {
		for by > 1 && !s.bears(by) {
			by /= 2
		}
	}
	return by
}

// filled is at most by, and so much that no more than a quarter of a pixel of a JPEG
// is left over at the right and bottom. A decoder that leaves it out stretches the
// result by as much.
func filled(by int, original engine.Picture) int {
	for original.Format == "jpeg" && 4*max(original.Width%by, original.Height%by) > by {
		by /= 2
	}
	return by
}

// bears reports whether a rendition loses nothing when the original is decoded
// at 1/by.
func (s shape) bears(by int) bool {
	switch {
	case !s.begins:
		return false
	case s.whole:
		return shrunk(s.w, by) >= s.toW && shrunk(s.h, by) >= s.toH
	case !s.odd && (s.free || s.x%by == 0 && s.y%by == 0):
		return s.w/by >= s.toW && s.h/by >= s.toH
	}
	// The cut does not fall on whole decoded pixels. Moved by half of one, it
	// moves the result by at most a quarter of a pixel.
	return s.w/by >= 2*s.toW && s.h/by >= 2*s.toH
}
