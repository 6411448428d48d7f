package imaging

import (
	"image"
	"math"

	"imagemill/pkg/pipeline"
)

// focus is a point of the picture as it is seen now, in pixels.
type focus struct {
	x, y float64
	set  bool
}

// corner gives the top left corner of a part of w×h, of a picture of a size, that
// has the point as near to its middle as it can.
func (f focus) corner(size image.Point, w, h int) image.Point {
	if !f.set {
		return image.Pt((size.X-w)/2, (size.Y-h)/2)
	}
	x, y := int(math.Round(f.x-float64(w)/2)), int(math.Round(f.y-float64(h)/2))
	return image.Pt(min(max(x, 0), max(size.X-w, 0)), min(max(y, 0), max(size.Y-h, 0)))
}

// moved follows a cut or a border: the picture now begins at a point.
func (f focus) moved(at image.Point) focus {
	f.x, f.y = f.x-float64(at.X), f.y-float64(at.Y)
	return f
}

// scaled follows a change of size.
func (f focus) scaled(from, to image.Point) focus {
	f.x, f.y = f.x*float64(to.X)/float64(from.X), f.y*float64(to.Y)/float64(from.Y)
	return f
}

// flipped follows a flip of a picture of a size.
func (f focus) flipped(o pipeline.Flip, size image.Point) focus {
	if o.Horizontal {
		f.x = float64(size.X) - f.x
	}
	if o.Vertical {
		f.y = float64(size.Y) - f.y
	}
	return f
}

// rotated follows a rotation around the middle.
func (f focus) rotated(o pipeline.Rotate, from, to image.Point) focus {
	sin, cos := math.Sincos(o.Angle * math.Pi / 180)
	x, y := f.x-float64(from.X)/2, f.y-float64(from.Y)/2
	f.x, f.y = x*cos-y*sin+float64(to.X)/2, x*sin+y*cos+float64(to.Y)/2
	return f
}
