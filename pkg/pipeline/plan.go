package pipeline

import (
	"fmt"
	"math"
)

// Step is the size of the picture after one operation.
type Step struct {
	// Path of the operation in its rendition ("operations[2]"), or "autoOrient"
	// for the first step.
	Path string
	// Width and Height in pixels, at least 1, at most math.MaxInt32: what is
	// larger than that is given as that.
	Width, Height int
}

// Pixels is the area of the step's result.
func (s Step) Pixels() int64 { return int64(s.Width) * int64(s.Height) }

// Plan lists the sizes that a rendition passes through: first the picture as
// it enters the first operation, then the result of each operation. An engine
// never holds a picture larger than the original and all of these.
type Plan []Step

// Result is the last step: the size of the rendition.
func (p Plan) Result() Step { return p[len(p)-1] }

// Plan computes the sizes for an original that is stored as width×height with
// an EXIF orientation of 1 to 8 (anything else counts as 1). It touches no
// pixels. The error is an *Error: a crop that lies outside of the picture, or
// an original without pixels.
func (r Rendition) Plan(width, height, orientation int) (Plan, error) {
	if width < 1 || height < 1 {
		return nil, wrong("", "the picture has no pixels: it is %d×%d", width, height)
	}
	w, h := int64(width), int64(height)
	if orientation >= 5 && orientation <= 8 && !r.KeepOrientation {
		w, h = h, w
	}
	plan := Plan{{"autoOrient", bound(w), bound(h)}}
	for i, op := range r.Operations {
		path := fmt.Sprintf("operations[%d]", i)
		var err *Error
		if w, h, err = op.size(w, h); err != nil {
			return nil, err.below(path)
		}
		w, h = int64(bound(w)), int64(bound(h))
		plan = append(plan, Step{path, bound(w), bound(h)})
	}
	return plan, nil
}

// bound keeps a side within 1 and math.MaxInt32, so that products of two
// sides never overflow.
func bound(v int64) int { return int(min(max(v, 1), math.MaxInt32)) }

// scaled is round(side × num / den), at least 1.
func scaled(side, num, den int64) int64 { return max((2*side*num+den)/(2*den), 1) }

// Within gives the size of a w×h picture scaled to lie within the operation's
// width and height, its shape kept. The fits Contain and Pad scale to it.
func (o Resize) Within(w, h int) (int, int) {
	a, b := o.within(int64(w), int64(h))
	return bound(a), bound(b)
}

func (o Resize) within(w, h int64) (int64, int64) {
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
// scaling keeps a long thin picture from becoming a giant on the way.
func (o Resize) Source(w, h int) (x, y, sourceW, sourceH int) {
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

// Rectangle gives the part of a w×h picture that is cut out, clipped to it. It
// is empty when the crop lies outside.
func (o Crop) Rectangle(w, h int) (x, y, cutW, cutH int) {
	if o.X == nil || o.Y == nil {
		cutW, cutH = min(o.Width, w), min(o.Height, h)
		x, y = o.Gravity.Offset(w, h, cutW, cutH)
		return x, y, cutW, cutH
	}
	return *o.X, *o.Y, max(min(o.Width, w-*o.X), 0), max(min(o.Height, h-*o.Y), 0)
}

func (o Crop) size(w, h int64) (int64, int64, *Error) {
	_, _, cutW, cutH := o.Rectangle(bound(w), bound(h))
	switch {
	case cutW == 0:
		return 0, 0, wrong("x", "the crop at x=%d lies outside of the picture, which is %d pixels wide", *o.X, w)
	case cutH == 0:
		return 0, 0, wrong("y", "the crop at y=%d lies outside of the picture, which is %d pixels high", *o.Y, h)
	}
	return int64(cutW), int64(cutH), nil
}

// rotateSlack is how much of a pixel may be lost at the rim before a rotated
// picture is made one pixel larger.
const rotateSlack = 0.1

func (o Rotate) size(w, h int64) (int64, int64, *Error) {
	switch math.Mod(math.Abs(o.Angle), 180) {
	case 0:
		return w, h, nil
	case 90:
		return h, w, nil
	}
	sin, cos := math.Sincos(o.Angle * math.Pi / 180)
	sin, cos = math.Abs(sin), math.Abs(cos)
	across, down := float64(w-1), float64(h-1)
	return int64(math.Ceil(across*cos + down*sin + 1 - rotateSlack)),
		int64(math.Ceil(across*sin + down*cos + 1 - rotateSlack)), nil
}

// What follows changes pixels where they are.

func (Flip) size(w, h int64) (int64, int64, *Error)        { return w, h, nil }
func (Blur) size(w, h int64) (int64, int64, *Error)        { return w, h, nil }
func (Sharpen) size(w, h int64) (int64, int64, *Error)     { return w, h, nil }
func (Grayscale) size(w, h int64) (int64, int64, *Error)   { return w, h, nil }
func (Brightness) size(w, h int64) (int64, int64, *Error)  { return w, h, nil }
func (Contrast) size(w, h int64) (int64, int64, *Error)    { return w, h, nil }
func (Gamma) size(w, h int64) (int64, int64, *Error)       { return w, h, nil }
func (Saturation) size(w, h int64) (int64, int64, *Error)  { return w, h, nil }
func (Hue) size(w, h int64) (int64, int64, *Error)         { return w, h, nil }
func (Invert) size(w, h int64) (int64, int64, *Error)      { return w, h, nil }
func (SwapRedBlue) size(w, h int64) (int64, int64, *Error) { return w, h, nil }
