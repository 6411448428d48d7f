//go:build vips

package vips

import (
	"math"

	"imagemill/pkg/pipeline"
)

// focus is a rendition's focal point, as operations move it: in fractions of
// the picture as it is.
type focus struct{ x, y float64 }

func newFocus(r pipeline.Rendition) *focus {
	if r.FocalPoint == nil {
		return &focus{0.5, 0.5}
	}
	return &focus{r.FocalPoint.X, r.FocalPoint.Y}
}

// hold puts a part of w×h around the point, as far as a picture of W×H lets it.
func (f *focus) hold(w, h, pictureW, pictureH int) (x, y int) {
	place := func(at float64, n, whole int) int {
		return min(max(int(math.Round(at*float64(whole)-float64(n)/2)), 0), whole-n)
	}
	return place(f.x, w, pictureW), place(f.y, h, pictureH)
}

// follow moves the point with the picture, which had one size before the
// operation and has another after it.
func (f *focus) follow(op pipeline.Operation, before, after pipeline.Step) {
	w, h := before.Width, before.Height
	switch o := op.(type) {
	case pipeline.Crop:
		x, y, cutW, cutH := o.Rectangle(w, h)
		if o.Gravity == pipeline.Focus && o.X == nil {
			x, y = f.hold(cutW, cutH, w, h)
		}
		f.into(area{x, y, cutW, cutH}, w, h)
	case pipeline.Resize:
		switch o.Fit {
		case pipeline.Cover:
			x, y, cutW, cutH := o.Source(w, h)
			if o.Gravity == pipeline.Focus {
				x, y = f.hold(cutW, cutH, w, h)
			}
			f.into(area{x, y, cutW, cutH}, w, h)
		case pipeline.Pad:
			r := o.Resolve(w, h)
			inW, inH := r.Within(w, h)
			x, y := r.Gravity.Offset(r.Width, r.Height, inW, inH)
			f.x = (f.x*float64(inW) + float64(x)) / float64(r.Width)
			f.y = (f.y*float64(inH) + float64(y)) / float64(r.Height)
		default:
		}
	case pipeline.Extend:
		f.x = (f.x*float64(w) + float64(o.Left)) / float64(w+o.Left+o.Right)
		f.y = (f.y*float64(h) + float64(o.Top)) / float64(h+o.Top+o.Bottom)
	case pipeline.Flip:
		if o.Horizontal {
			f.x = 1 - f.x
		}
		if o.Vertical {
			f.y = 1 - f.y
		}
	case pipeline.Rotate:
		f.turn(o.Angle, before, after)
	}
}

// into follows the point into a part of the picture, or out of it.
func (f *focus) into(a area, w, h int) {
	f.x = (f.x*float64(w) - float64(a.x)) / float64(a.w)
	f.y = (f.y*float64(h) - float64(a.y)) / float64(a.h)
}

// turn follows a rotation about the middle.
func (f *focus) turn(clockwise float64, before, after pipeline.Step) {
	sin, cos := math.Sincos(clockwise * math.Pi / 180)
	x, y := (f.x-0.5)*float64(before.Width), (f.y-0.5)*float64(before.Height)
	f.x, f.y = (x*cos-y*sin)/float64(after.Width)+0.5, (x*sin+y*cos)/float64(after.Height)+0.5
}
