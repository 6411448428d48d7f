package imaging

import (
	"image"
	"math"
)

// smallResult is the area in pixels up to which the good filter costs little.
const smallResult = 200 * 200

// boxFactor is the factor of the box for a window that becomes w×h, below 2 for
// none. Large pictures made much smaller are boxed as far as it goes, because
// that is what the time goes into; the closer the result, the more a box shows.
// TestScaleIsLikeLanczos says what that costs.
func boxFactor(part window, w, h int) int {
	ratio := min(part.w/float64(w), part.h/float64(h)) + 1e-9
	switch {
	case w*h < smallResult:
		ratio /= 2
	case ratio < 4:
		ratio /= 1.5
	}
	return min(int(ratio), maxBox)
}

// scalePlane brings the window of a plane to w×h: cheaply as far as boxFactor
// says, and from there by Lanczos.
func scalePlane(src plane, part window, w, h int) plane {
	if factor := boxFactor(part, w, h); factor > 1 {
		outer := part.outer(src.w, src.h)
		cut := plane{src.pix[outer.Min.Y*src.stride+outer.Min.X:], src.stride, outer.Dx(), outer.Dy()}
		src, part = boxed(cut, factor), part.within(outer, factor)
	}
	if part.is(w, h) && src.w == w && src.h == h {
		return src
	}
	return newFilter(image.Pt(src.w, src.h), part, w, h).apply(src)
}

// scalePixels does the same for a picture of RGB with alpha. Colours count as
// much as they are seen: transparent ones leave no fringe.
func scalePixels(m *image.NRGBA, part window, w, h int) *image.NRGBA {
	solid := m.Opaque()
	if !solid {
		outer := part.outer(m.Rect.Dx(), m.Rect.Dy())
		m = premultiplied(m.SubImage(outer.Add(m.Rect.Min)).(*image.NRGBA))
		part = part.within(outer, 1)
	}
	if factor := boxFactor(part, w, h); factor > 1 {
		outer := part.outer(m.Rect.Dx(), m.Rect.Dy())
		cut := m.SubImage(outer.Add(m.Rect.Min)).(*image.NRGBA)
		m, part = boxedPixels(cut, factor), part.within(outer, factor)
	}
	out := m
	if size := m.Rect.Size(); !part.is(w, h) || size != image.Pt(w, h) {
		out = resampledPixels(m, part, w, h, solid)
	}
	if !solid {
		divide(out)
	}
	return out
}

// resampledPixels scales the channels one by one.
func resampledPixels(m *image.NRGBA, part window, w, h int, solid bool) *image.NRGBA {
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	channels := 4
	if solid {
		channels = 3
		for i := 3; i < len(out.Pix); i += 4 {
			out.Pix[i] = 255
		}
	}
	one := newPlane(m.Rect.Dx(), m.Rect.Dy())
	f := newFilter(m.Rect.Size(), part, w, h)
	for c := range channels {
		for y := range one.h {
			line := m.Pix[y*m.Stride:][:4*one.w]
			row := one.row(y)
			for x := range row {
				row[x] = line[4*x+c]
			}
		}
		for i, v := range f.apply(one).pix {
			out.Pix[4*i+c] = v
		}
	}
	return out
}

// outer is the smallest rectangle of whole pixels around a window of a picture
// of w×h.
func (p window) outer(w, h int) image.Rectangle {
	const close = 1e-6 // what calculations leave
	return image.Rect(int(p.x+close), int(p.y+close), int(math.Ceil(p.x+p.w-close)), int(math.Ceil(p.y+p.h-close))).
		Intersect(image.Rect(0, 0, w, h))
}

// within gives the window as it lies in a cut that has been made smaller.
func (p window) within(cut image.Rectangle, factor int) window {
	f := float64(factor)
	return window{(p.x - float64(cut.Min.X)) / f, (p.y - float64(cut.Min.Y)) / f, p.w / f, p.h / f}
}

// is reports whether the window is the whole of a picture of w×h.
func (p window) is(w, h int) bool { return p == window{0, 0, float64(w), float64(h)} }

// headroom is 3/4: what alpha and colours are weakened by, so that a filter that
// overshoots makes both larger by the same share instead of cutting one off.
const headroom, headroomOf = 3, 4

// premultiplied copies a picture with its colours weakened by their alpha, and
// all by headroom.
func premultiplied(m *image.NRGBA) *image.NRGBA {
	out := image.NewNRGBA(image.Rect(0, 0, m.Rect.Dx(), m.Rect.Dy()))
	for y := range out.Rect.Max.Y {
		from, to := m.Pix[y*m.Stride:][:out.Stride], out.Pix[y*out.Stride:][:out.Stride]
		for len(from) >= 4 && len(to) >= 4 {
			a := uint32(from[3])
			for c := range 3 {
				to[c] = uint8((uint32(from[c])*a*headroom + 127*headroomOf) / (255 * headroomOf)) //nolint:gosec // a share of a byte
			}
			to[3] = uint8((a*headroom + headroomOf/2) / headroomOf) //nolint:gosec // a share of a byte
			from, to = from[4:], to[4:]
		}
	}
	return out
}

// divide takes the alpha out of the colours again, and the headroom, in place.
func divide(m *image.NRGBA) {
	for p := m.Pix; len(p) >= 4; p = p[4:] {
		a := uint32(p[3])
		if a == 0 {
			p[0], p[1], p[2] = 0, 0, 0
			continue
		}
		for c := range 3 {
			p[c] = uint8(min((uint32(p[c])*255+a/2)/a, 255))
		}
		p[3] = uint8(min((a*headroomOf+headroom/2)/headroom, 255))
	}
}
