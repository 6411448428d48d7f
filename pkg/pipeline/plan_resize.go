package pipeline

import "math"

// Resolve gives the same resize of a w×h picture in plain Width and Height,
// without Percent, Megapixels and DPR. The sides may then exceed MaxSide.
func (o Resize) Resolve(w, h int) Resize { return o.resolve(int64(w), int64(h)) }

func (o Resize) resolve(w, h int64) Resize {
	switch {
	case o.Percent != 0:
		// The shorter side follows from the longer one, which is the more exact.
		if w >= h {
			o.Width = bound(int64(math.Round(float64(w) * o.Percent / 100)))
		} else {
			o.Height = bound(int64(math.Round(float64(h) * o.Percent / 100)))
		}
	case o.Megapixels != 0:
		o.Width, o.Height = o.box(float64(w), float64(h))
	default:
		o.Width, o.Height = o.multiplied()
	}
	o.Percent, o.Megapixels, o.DPR = 0, 0, 0
	return o
}

// box is the largest one of the shape w×h that has no more than the megapixels.
// A side that would be less than a pixel is one, and takes from the other.
func (o Resize) box(w, h float64) (int, int) {
	area := o.Megapixels * 1e6
	factor := math.Sqrt(area / (w * h))
	toW, toH := math.Max(math.Floor(w*factor+1e-6), 1), math.Max(math.Floor(h*factor+1e-6), 1)
	return bound(int64(min(toW, area/toH+1e-6))), bound(int64(min(toH, area/toW+1e-6)))
}

// Within gives the size of a w×h picture scaled to lie within the operation's
// width and height, its shape kept. The fits Contain and Pad scale to it.
func (o Resize) Within(w, h int) (int, int) {
	a, b := o.within(int64(w), int64(h))
	return bound(a), bound(b)
}

func (o Resize) within(w, h int64) (int64, int64) {
	o = o.resolve(w, h)
	toW, toH := int64(o.Width), int64(o.Height)
	byWidth := toH == 0 || toW != 0 && toW*h <= toH*w
	switch {
	case byWidth && o.NoEnlarge && toW > w, !byWidth && o.NoEnlarge && toH > h:
		return w, h
	case byWidth:
		return toW, scaled(h, toW, w)
	default:
		return scaled(w, toH, h), toH
	}
}

func (o Resize) size(w, h int64) (int64, int64, *Error) {
	o = o.resolve(w, h)
	toW, toH := int64(o.Width), int64(o.Height)
	switch {
	case o.Fit == Pad:
		return toW, toH, nil
	case o.Fit == Cover || o.Fit == Stretch:
		if o.NoEnlarge {
			toW, toH = min(toW, w), min(toH, h)
		}
		return toW, toH, nil
	}
	w, h = o.within(w, h)
	return w, h, nil
}

// Source gives the part of a w×h picture that fit Cover scales to its result:
// the largest one of the result's shape, held by the gravity. Cutting before
// scaling keeps a long thin picture from becoming a giant on the way. For
// Attention and Entropy the size counts; the place is the engine's to choose.
func (o Resize) Source(w, h int) (x, y, sourceW, sourceH int) {
	o = o.Resolve(w, h)
	toW, toH, _ := o.size(int64(w), int64(h))
	sw, sh := int64(w), int64(h)
	switch small := o.NoEnlarge && (int64(o.Width) > sw || int64(o.Height) > sh); {
	case small:
		sw, sh = toW, toH
	case toW*sh > toH*sw:
		sh = min(scaled(sw, toH, toW), sh)
	default:
		sw = min(scaled(sh, toW, toH), sw)
	}
	x, y = o.Gravity.Offset(w, h, int(sw), int(sh))
	return x, y, int(sw), int(sh)
}
