package pipeline

import "math"

// Rectangle gives the part of a w×h picture that is cut out, clipped to it. It
// is empty when the crop lies outside. For gravity Attention and Entropy the
// size counts; the place is the engine's to choose.
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

func (o Extend) size(w, h int64) (int64, int64, *Error) {
	return w + int64(o.Left) + int64(o.Right), h + int64(o.Top) + int64(o.Bottom), nil
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

// A trim leaves a picture of any smaller size; Step.AtMost says so.

func (Trim) size(w, h int64) (int64, int64, *Error)           { return w, h, nil }
func (Pixelate) size(w, h int64) (int64, int64, *Error)       { return w, h, nil }
func (Sepia) size(w, h int64) (int64, int64, *Error)          { return w, h, nil }
func (Tint) size(w, h int64) (int64, int64, *Error)           { return w, h, nil }
func (ExtractChannel) size(w, h int64) (int64, int64, *Error) { return w, h, nil }
func (RoundCorners) size(w, h int64) (int64, int64, *Error)   { return w, h, nil }
func (Flatten) size(w, h int64) (int64, int64, *Error)        { return w, h, nil }
func (Watermark) size(w, h int64) (int64, int64, *Error)      { return w, h, nil }
func (Text) size(w, h int64) (int64, int64, *Error)           { return w, h, nil }
