package imaging

import (
	"image"
	"image/color"
	"math"

	lib "github.com/disintegration/imaging"

	"imagemill/pkg/pipeline"
)

// apply carries out one operation. It never changes the pixels of what it is
// given.
func (s scene) apply(op pipeline.Operation) (scene, error) {
	switch o := op.(type) {
	case pipeline.Resize:
		return s.resize(o), nil
	case pipeline.Crop:
		return s.crop(o), nil
	case pipeline.Flip:
		s.focus = s.focus.flipped(o, s.size())
		s.view = s.turned(turn{flipX: o.Horizontal, flipY: o.Vertical})
		return s, nil
	}
	s = s.coloured()
	switch o := op.(type) {
	case pipeline.Rotate:
		return s.rotate(o), nil
	case pipeline.Trim:
		return s.sees(s.once(func() image.Rectangle { return inner(pixelsOf(s.picture()), o) })), nil
	case pipeline.Extend:
		return s.extend(o), nil
	case pipeline.Watermark:
		return s.watermark(o)
	case pipeline.Text:
		m, err := letters(s.picture(), o)
		return s.shows(m), err
	}
	return s.shows(filtered(op, s.picture())), nil
}

// planar reports whether the operations from first on leave planes as they are,
// and the result is made of planes.
func planar(r pipeline.Rendition, first int) bool {
	if r.Format != pipeline.JPEG && r.Format != pipeline.Same && r.Format != pipeline.Auto {
		return false
	}
	for _, op := range r.Operations[first:] {
		switch o := op.(type) {
		case pipeline.Crop, pipeline.Flip:
		case pipeline.Resize:
			if o.Fit == pipeline.Pad {
				return false
			}
		case pipeline.Rotate:
			if math.Mod(o.Angle, 90) != 0 {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// corner gives where a part of w×h lies that a gravity holds.
func (s scene) corner(g pipeline.Gravity, w, h int) image.Rectangle {
	return s.once(func() image.Rectangle {
		at := s.place(g, w, h)
		return image.Rectangle{Min: at, Max: at.Add(image.Pt(w, h))}
	})
}

func (s scene) place(g pipeline.Gravity, w, h int) image.Point {
	size := s.size()
	switch g { //nolint:exhaustive // the others are fixed places
	case pipeline.Attention, pipeline.Entropy:
		return interesting(s, w, h, g)
	case pipeline.Focus:
		return s.focus.corner(size, w, h)
	}
	return image.Pt(g.Offset(size.X, size.Y, w, h))
}

func (s scene) crop(o pipeline.Crop) scene {
	x, y, w, h := o.Rectangle(s.size().X, s.size().Y)
	if o.X == nil || o.Y == nil {
		return s.sees(s.corner(o.Gravity, w, h))
	}
	return s.sees(rectangle(x, y, w, h))
}

func (s scene) resize(o pipeline.Resize) scene {
	size := s.size()
	if s.whole != (image.Point{}) {
		size, s.whole = s.whole, image.Point{}
	}
	o = o.Resolve(size.X, size.Y)
	to := image.Pt(o.Width, o.Height)
	switch o.Fit {
	case pipeline.Cover, pipeline.Stretch:
		if o.NoEnlarge {
			to = image.Pt(min(to.X, size.X), min(to.Y, size.Y))
		}
	default:
		to = image.Pt(o.Within(size.X, size.Y))
	}
	if o.Fit == pipeline.Cover {
		_, _, w, h := o.Source(size.X, size.Y)
		s = s.sees(s.corner(o.Gravity, share(w, s.size().X, size.X), share(h, s.size().Y, size.Y)))
	}
	s.focus = s.focus.scaled(s.size(), to)
	s = s.colouredFor(to)
	s = s.shows(s.scaled(to.X, to.Y, s.planar && o.Fit != pipeline.Pad))
	if o.Fit == pipeline.Pad {
		x, y := o.Gravity.Offset(o.Width, o.Height, to.X, to.Y)
		return s.on(o.Width, o.Height, image.Pt(x, y), o.Background)
	}
	return s
}

// share is a part of a side of a picture of which another size is seen.
func share(part, now, whole int) int {
	if now == whole {
		return part
	}
	return min(max((2*part*now+whole)/(2*whole), 1), now)
}

// rectangle makes an image.Rectangle of a corner and a size.
func rectangle(x, y, w, h int) image.Rectangle { return image.Rect(x, y, x+w, y+h) }

func (s scene) extend(o pipeline.Extend) scene {
	size := s.size()
	return s.on(size.X+o.Left+o.Right, size.Y+o.Top+o.Bottom, image.Pt(o.Left, o.Top), o.Background)
}

// on lays the picture over a canvas of w×h in one colour.
func (s scene) on(w, h int, at image.Point, background pipeline.Color) scene {
	m, canvas := s.picture(), lib.New(w, h, nrgba(background))
	s.focus = s.focus.moved(at.Mul(-1))
	if opaque(m) || canvas.Pix[3] == 0 {
		return s.shows(lib.Paste(canvas, m, at))
	}
	return s.shows(lib.Overlay(canvas, m, at, 1))
}

func (s scene) rotate(o pipeline.Rotate) scene {
	size := s.size()
	end := size
	// The plan and the library may round a rim of half a pixel differently.
	if plan, err := (pipeline.Rendition{Operations: []pipeline.Operation{o}}).PlanFrom(0, size.X, size.Y); err == nil {
		end = image.Pt(plan.Result().Width, plan.Result().Height)
	}
	s.focus = s.focus.rotated(o, size, end)
	switch math.Mod(o.Angle+720, 360) {
	case 0:
		return s
	case 90:
		s.view = s.turned(turnOf(6))
		return s
	case 180:
		s.view = s.turned(turnOf(3))
		return s
	case 270:
		s.view = s.turned(turnOf(8))
		return s
	}
	turned := lib.Rotate(s.picture(), -o.Angle, nrgba(o.Background))
	if turned.Rect.Size() != end {
		x, y := pipeline.Center.Offset(end.X, end.Y, turned.Rect.Dx(), turned.Rect.Dy())
		turned = lib.Paste(lib.New(end.X, end.Y, nrgba(o.Background)), turned, image.Pt(x, y))
	}
	return s.shows(turned)
}

// nrgba turns a pipeline's colour into the standard library's.
func nrgba(c pipeline.Color) color.NRGBA {
	r, g, b, a := c.NRGBA()
	return color.NRGBA{R: r, G: g, B: b, A: a}
}

// opaque reports whether no pixel is transparent.
func opaque(m image.Image) bool {
	o, ok := m.(interface{ Opaque() bool })
	return ok && o.Opaque()
}
