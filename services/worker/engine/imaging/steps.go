package imaging

import (
	"fmt"
	"image"
	"image/color"
	"math"

	lib "github.com/disintegration/imaging"

	"imagemill/pkg/pipeline"
)

// step is one operation, ready to run. run never changes its argument.
type step struct {
	name string
	run  func(image.Image) image.Image
}

// steps turns a rendition's operations into steps in the same order.
func steps(r pipeline.Rendition) []step {
	out := make([]step, len(r.Operations))
	for i, op := range r.Operations {
		out[i] = step{op.Op(), stepOf(op)}
	}
	return out
}

// stepOf is the one place where an operation meets its pixels.
func stepOf(op pipeline.Operation) func(image.Image) image.Image {
	switch o := op.(type) {
	case pipeline.Resize:
		return func(m image.Image) image.Image { return resize(m, o) }
	case pipeline.Crop:
		return func(m image.Image) image.Image {
			return cut(m, rectangle(o.Rectangle(m.Bounds().Dx(), m.Bounds().Dy())))
		}
	case pipeline.Rotate:
		return func(m image.Image) image.Image { return rotate(m, o) }
	case pipeline.Flip:
		return func(m image.Image) image.Image { return flip(m, o) }
	case pipeline.Blur:
		return func(m image.Image) image.Image { return lib.Blur(m, o.Sigma) }
	case pipeline.Sharpen:
		return func(m image.Image) image.Image { return lib.Sharpen(m, o.Sigma) }
	case pipeline.Grayscale:
		return func(m image.Image) image.Image { return lib.Grayscale(m) }
	case pipeline.Brightness:
		return func(m image.Image) image.Image { return lib.AdjustBrightness(m, o.Percent) }
	case pipeline.Contrast:
		return func(m image.Image) image.Image { return lib.AdjustContrast(m, o.Percent) }
	case pipeline.Gamma:
		return func(m image.Image) image.Image { return lib.AdjustGamma(m, o.Value) }
	case pipeline.Saturation:
		return func(m image.Image) image.Image { return lib.AdjustSaturation(m, o.Percent) }
	case pipeline.Hue:
		return func(m image.Image) image.Image { return turnHue(m, o.Degrees) }
	case pipeline.Invert:
		return func(m image.Image) image.Image { return lib.Invert(m) }
	case pipeline.SwapRedBlue:
		return func(m image.Image) image.Image { return swapRedBlue(m) }
	}
	// The set is closed: only a new operation without its row here comes this far.
	panic(fmt.Sprintf("operation %s has no step", op.Op()))
}

// rectangle makes an image.Rectangle of a corner and a size.
func rectangle(x, y, w, h int) image.Rectangle { return image.Rect(x, y, x+w, y+h) }

// cut gives a part of a picture without copying pixels where the type allows.
func cut(m image.Image, r image.Rectangle) image.Image {
	if s, ok := m.(interface {
		SubImage(r image.Rectangle) image.Image
	}); ok {
		return s.SubImage(r.Add(m.Bounds().Min))
	}
	return lib.Crop(m, r.Add(m.Bounds().Min))
}

func resize(m image.Image, o pipeline.Resize) image.Image {
	w, h := m.Bounds().Dx(), m.Bounds().Dy()
	o = o.Resolve(w, h)
	switch o.Fit {
	case pipeline.Cover:
		toW, toH := o.Width, o.Height
		if o.NoEnlarge {
			toW, toH = min(toW, w), min(toH, h)
		}
		return scale(cut(m, rectangle(o.Source(w, h))), toW, toH)
	case pipeline.Stretch:
		if o.NoEnlarge {
			return scale(m, min(o.Width, w), min(o.Height, h))
		}
		return scale(m, o.Width, o.Height)
	case pipeline.Pad:
		inW, inH := o.Within(w, h)
		x, y := o.Gravity.Offset(o.Width, o.Height, inW, inH)
		return place(scale(m, inW, inH), o.Width, o.Height, x, y, o.Background)
	default:
		inW, inH := o.Within(w, h)
		return scale(m, inW, inH)
	}
}

// scale brings a picture to an exact size. The axes are scaled one after the
// other, width first; where that would make something larger than both ends
// (a thin tall picture made wide), height goes first.
func scale(m image.Image, w, h int) image.Image {
	from := m.Bounds().Size()
	if from == image.Pt(w, h) {
		return m
	}
	if int64(w)*int64(from.Y) > max(int64(from.X)*int64(from.Y), int64(w)*int64(h)) {
		m = lib.Resize(m, from.X, h, lib.Lanczos)
	}
	return lib.Resize(m, w, h, lib.Lanczos)
}

// place lays a picture over a canvas of w×h in one colour.
func place(m image.Image, w, h, x, y int, background pipeline.Color) image.Image {
	canvas := lib.New(w, h, nrgba(background))
	if opaque(m) || canvas.Pix[3] == 0 {
		return lib.Paste(canvas, m, image.Pt(x, y))
	}
	return lib.Overlay(canvas, m, image.Pt(x, y), 1)
}

func rotate(m image.Image, o pipeline.Rotate) image.Image {
	switch math.Mod(o.Angle+720, 360) {
	case 0:
		return m
	case 90:
		return lib.Rotate270(m)
	case 180:
		return lib.Rotate180(m)
	case 270:
		return lib.Rotate90(m)
	}
	turned := lib.Rotate(m, -o.Angle, nrgba(o.Background))
	// The plan and the library may round a rim of half a pixel differently.
	plan, err := pipeline.Rendition{Operations: []pipeline.Operation{o}}.Plan(m.Bounds().Dx(), m.Bounds().Dy(), 1)
	end := plan.Result()
	if err != nil || turned.Bounds().Size() == image.Pt(end.Width, end.Height) {
		return turned
	}
	x, y := pipeline.Center.Offset(end.Width, end.Height, turned.Rect.Dx(), turned.Rect.Dy())
	return lib.Paste(lib.New(end.Width, end.Height, nrgba(o.Background)), turned, image.Pt(x, y))
}

func flip(m image.Image, o pipeline.Flip) image.Image {
	switch {
	case o.Horizontal && o.Vertical:
		return lib.Rotate180(m)
	case o.Horizontal:
		return lib.FlipH(m)
	}
	return lib.FlipV(m)
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
