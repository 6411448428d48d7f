package imaging

import (
	"fmt"
	"image"
	"image/color"
	"math"

	lib "github.com/disintegration/imaging"

	"imagemill/pkg/pipeline"
)

// step is one operation, ready to run. run never changes its argument's pixels.
type step struct {
	name string
	run  func(view) view
}

// steps turns a rendition's operations into steps in the same order.
func steps(r pipeline.Rendition) []step {
	out := make([]step, len(r.Operations))
	for i, op := range r.Operations {
		out[i] = step{op.Op(), stepOf(op, planar(r, i+1))}
	}
	return out
}

// planar reports whether the operations from first on leave planes as they are,
// and the result is made of planes.
func planar(r pipeline.Rendition, first int) bool {
	if r.Format != pipeline.JPEG && r.Format != pipeline.Same {
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

// stepOf is the one place where an operation meets its pixels.
func stepOf(op pipeline.Operation, planar bool) func(view) view {
	switch o := op.(type) {
	case pipeline.Resize:
		return func(v view) view { return resize(v, o, planar) }
	case pipeline.Crop:
		return func(v view) view { return v.cut(rectangle(o.Rectangle(v.size().X, v.size().Y))) }
	case pipeline.Rotate:
		return func(v view) view { return rotate(v, o) }
	case pipeline.Flip:
		return func(v view) view { return v.turned(turn{flipX: o.Horizontal, flipY: o.Vertical}) }
	}
	f := pixelStep(op)
	return func(v view) view { return viewOf(f(v.picture())) }
}

// pixelStep is the operations that work on the pixels themselves.
func pixelStep(op pipeline.Operation) func(image.Image) *image.NRGBA {
	switch o := op.(type) {
	case pipeline.Blur:
		return func(m image.Image) *image.NRGBA { return lib.Blur(m, o.Sigma) }
	case pipeline.Sharpen:
		return func(m image.Image) *image.NRGBA { return lib.Sharpen(m, o.Sigma) }
	case pipeline.Grayscale:
		return func(m image.Image) *image.NRGBA { return lib.Grayscale(m) }
	case pipeline.Brightness:
		return func(m image.Image) *image.NRGBA { return lib.AdjustBrightness(m, o.Percent) }
	case pipeline.Contrast:
		return func(m image.Image) *image.NRGBA { return lib.AdjustContrast(m, o.Percent) }
	case pipeline.Gamma:
		return func(m image.Image) *image.NRGBA { return lib.AdjustGamma(m, o.Value) }
	case pipeline.Saturation:
		return func(m image.Image) *image.NRGBA { return lib.AdjustSaturation(m, o.Percent) }
	case pipeline.Hue:
		return func(m image.Image) *image.NRGBA { return turnHue(m, o.Degrees) }
	case pipeline.Invert:
		return func(m image.Image) *image.NRGBA { return lib.Invert(m) }
	case pipeline.SwapRedBlue:
		return swapRedBlue
	}
	// The set is closed: only a new operation without its row here comes this far.
	panic(fmt.Sprintf("operation %s has no step", op.Op()))
}

// rectangle makes an image.Rectangle of a corner and a size.
func rectangle(x, y, w, h int) image.Rectangle { return image.Rect(x, y, x+w, y+h) }

func resize(v view, o pipeline.Resize, planar bool) view {
	w, h := v.size().X, v.size().Y
	o = o.Resolve(w, h)
	toW, toH := o.Width, o.Height
	if o.NoEnlarge {
		toW, toH = min(toW, w), min(toH, h)
	}
	switch o.Fit {
	case pipeline.Cover:
		return viewOf(v.cut(rectangle(o.Source(w, h))).scaled(toW, toH, planar))
	case pipeline.Stretch:
		return viewOf(v.scaled(toW, toH, planar))
	case pipeline.Pad:
		inW, inH := o.Within(w, h)
		x, y := o.Gravity.Offset(o.Width, o.Height, inW, inH)
		return viewOf(place(v.scaled(inW, inH, false), o.Width, o.Height, x, y, o.Background))
	default:
		inW, inH := o.Within(w, h)
		return viewOf(v.scaled(inW, inH, planar))
	}
}

// place lays a picture over a canvas of w×h in one colour.
func place(m image.Image, w, h, x, y int, background pipeline.Color) *image.NRGBA {
	canvas := lib.New(w, h, nrgba(background))
	if opaque(m) || canvas.Pix[3] == 0 {
		return lib.Paste(canvas, m, image.Pt(x, y))
	}
	return lib.Overlay(canvas, m, image.Pt(x, y), 1)
}

func rotate(v view, o pipeline.Rotate) view {
	switch math.Mod(o.Angle+720, 360) {
	case 0:
		return v
	case 90:
		return v.turned(turnOf(6))
	case 180:
		return v.turned(turnOf(3))
	case 270:
		return v.turned(turnOf(8))
	}
	turned := lib.Rotate(v.picture(), -o.Angle, nrgba(o.Background))
	// The plan and the library may round a rim of half a pixel differently.
	plan, err := pipeline.Rendition{Operations: []pipeline.Operation{o}}.Plan(v.size().X, v.size().Y, 1)
	end := plan.Result()
	if err != nil || turned.Bounds().Size() == image.Pt(end.Width, end.Height) {
		return viewOf(turned)
	}
	x, y := pipeline.Center.Offset(end.Width, end.Height, turned.Rect.Dx(), turned.Rect.Dy())
	return viewOf(lib.Paste(lib.New(end.Width, end.Height, nrgba(o.Background)), turned, image.Pt(x, y)))
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
