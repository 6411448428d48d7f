package pipeline

import "math"

// Place gives the top left corner of a box of w×h, no larger than the outer
// one, whose middle lies as near to the point as the outer box allows.
func (f Focal) Place(outerW, outerH, w, h int) (x, y int) {
	at := func(share float64, outer, inner int) int {
		return min(max(int(math.Round(share*float64(outer)-float64(inner)/2)), 0), max(outer-inner, 0))
	}
	return at(f.X, outerW, w), at(f.Y, outerH, h)
}

// Within gives where the point of a w×h picture lies in the part of cutW×cutH
// that is cut out of it at x, y: at the edge when it was cut off. A negative
// corner, and a part larger than the picture, stand for a border.
func (f Focal) Within(x, y, cutW, cutH, w, h int) Focal {
	at := func(share float64, side, start, cut int) float64 {
		return min(max((share*float64(side)-float64(start))/float64(cut), 0), 1)
	}
	return Focal{at(f.X, w, x, cutW), at(f.Y, h, y, cutH)}
}

// After gives where the point of a w×h picture lies once an operation has been
// carried out, so that all engines follow it alike. Where the engine alone
// knows what was cut off (Trim, gravity Attention and Entropy), it stays where
// it is; the engine then asks Within.
func (f Focal) After(op Operation, w, h int) Focal {
	switch o := op.(type) {
	case Resize:
		return f.resized(o.Resolve(w, h), w, h)
	case Crop:
		x, y, cutW, cutH := o.RectangleAt(w, h, f)
		if o.smart() || cutW == 0 || cutH == 0 {
			return f
		}
		return f.Within(x, y, cutW, cutH, w, h)
	case Extend:
		return f.Within(-o.Left, -o.Top, w+o.Left+o.Right, h+o.Top+o.Bottom, w, h)
	case Flip:
		if o.Horizontal {
			f.X = 1 - f.X
		}
		if o.Vertical {
			f.Y = 1 - f.Y
		}
		return f
	case Rotate:
		return f.turned(o, w, h)
	}
	return f
}

// resized follows the point through a resize in plain width and height.
func (f Focal) resized(o Resize, w, h int) Focal {
	switch o.Fit { //nolint:exhaustive // the others cut nothing off
	case Pad:
		inW, inH := o.Within(w, h)
		x, y := o.Gravity.Offset(o.Width, o.Height, inW, inH)
		return f.Within(-x, -y, o.Width, o.Height, inW, inH)
	case Cover:
		if o.Gravity == Attention || o.Gravity == Entropy {
			return f
		}
		x, y, cutW, cutH := o.SourceAt(w, h, f)
		return f.Within(x, y, cutW, cutH, w, h)
	}
	return f
}

// turned follows the point through a rotation about the middle.
func (f Focal) turned(o Rotate, w, h int) Focal {
	toW, toH, _ := o.size(int64(w), int64(h))
	sin, cos := math.Sincos(o.Angle * math.Pi / 180)
	x, y := (f.X-0.5)*float64(w), (f.Y-0.5)*float64(h)
	at := func(v float64, side int64) float64 { return min(max(v/float64(side)+0.5, 0), 1) }
	return Focal{at(x*cos-y*sin, toW), at(x*sin+y*cos, toH)}
}

// smart reports whether the engine chooses the place.
func (o Crop) smart() bool { return o.Gravity == Attention || o.Gravity == Entropy }

// SourceAt is Source for gravity Focus, with the point of the picture as it is
// now; other gravities do not heed it.
func (o Resize) SourceAt(w, h int, f Focal) (x, y, sourceW, sourceH int) {
	x, y, sourceW, sourceH = o.Source(w, h)
	if o.Gravity == Focus {
		x, y = f.Place(w, h, sourceW, sourceH)
	}
	return x, y, sourceW, sourceH
}

// RectangleAt is Rectangle for gravity Focus, with the point of the picture as
// it is now; other gravities do not heed it.
func (o Crop) RectangleAt(w, h int, f Focal) (x, y, cutW, cutH int) {
	x, y, cutW, cutH = o.Rectangle(w, h)
	if o.Gravity == Focus && o.X == nil {
		x, y = f.Place(w, h, cutW, cutH)
	}
	return x, y, cutW, cutH
}

// Pixels gives the radius for a w×h picture: at most half of the shorter side.
func (o RoundCorners) Pixels(w, h int) float64 {
	shorter := float64(min(w, h))
	if o.Percent != 0 {
		return shorter * min(o.Percent, maxCorner) / 100
	}
	return min(float64(o.Radius), shorter/2)
}
