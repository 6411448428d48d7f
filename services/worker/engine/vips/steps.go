//go:build vips

package vips

import (
	"fmt"
	"image"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine/draw"
)

// apply is the one place where an operation meets its pixels.
func (c *canvas) apply(op pipeline.Operation) (ref, error) {
	switch o := op.(type) {
	case pipeline.Resize:
		return c.resize(o)
	case pipeline.Crop:
		return c.cut(o)
	case pipeline.Trim:
		return c.trim(o)
	case pipeline.Extend:
		return c.place(c.m, c.w+o.Left+o.Right, c.h+o.Top+o.Bottom, o.Left, o.Top, o.Background)
	case pipeline.Rotate:
		return c.rotate(o)
	case pipeline.Flip:
		return c.mirror(o)
	case pipeline.Blur:
		return c.soft(c.m, o.Sigma)
	case pipeline.Sharpen:
		return c.sharpen(o.Sigma)
	case pipeline.Flatten:
		return c.flatten(c.m, o.Background)
	case pipeline.Watermark:
		return c.watermark(o)
	}
	return c.adjust(op)
}

// adjust carries out the operations that take each pixel where it is.
func (c *canvas) adjust(op pipeline.Operation) (ref, error) {
	switch o := op.(type) {
	case pipeline.Brightness:
		return c.lut(c.m, brightness(o.Percent))
	case pipeline.Contrast:
		return c.lut(c.m, contrast(o.Percent))
	case pipeline.Gamma:
		return c.lut(c.m, gamma(o.Value))
	case pipeline.Invert:
		return c.lut(c.m, &negative)
	case pipeline.Grayscale:
		return c.colours(grey)
	case pipeline.Saturation:
		return c.colours(saturate(1 + o.Percent/100))
	case pipeline.Hue:
		return c.colours(turnHue(o.Degrees))
	case pipeline.SwapRedBlue:
		return c.colours(func(p []byte) { p[0], p[2] = p[2], p[0] })
	case pipeline.Sepia:
		return c.colours(sepia(o.Percent))
	case pipeline.Tint:
		return c.colours(tint(o.Color))
	case pipeline.ExtractChannel:
		return c.extract(o.Channel)
	case pipeline.Pixelate:
		return c.nrgba(func(m *image.NRGBA) error { pixelate(m, o.Size); return nil })
	case pipeline.RoundCorners:
		return c.nrgba(func(m *image.NRGBA) error { draw.Round(m, o); return nil })
	case pipeline.Text:
		return c.nrgba(func(m *image.NRGBA) error {
			letters, at, err := draw.Text(o, c.w, c.h)
			if err == nil {
				draw.Over(m, letters, at)
			}
			return err
		})
	}
	// The set is closed: only a new operation without its row here comes this far.
	panic(fmt.Sprintf("operation %s has no step", op.Op()))
}

func (c *canvas) resize(o pipeline.Resize) (ref, error) {
	o = o.Resolve(c.w, c.h)
	toW, toH := o.Width, o.Height
	switch o.Fit {
	case pipeline.Cover:
		if o.NoEnlarge {
			toW, toH = min(toW, c.w), min(toH, c.h)
		}
		x, y, w, h := o.Source(c.w, c.h)
		from, err := c.held(o.Gravity, area{x, y, w, h})
		if err != nil {
			return nil, err
		}
		m, err := c.part(from)
		if err != nil {
			return nil, err
		}
		return c.scale(m, toW, toH)
	case pipeline.Stretch:
		if o.NoEnlarge {
			toW, toH = min(toW, c.w), min(toH, c.h)
		}
		return c.scale(c.m, toW, toH)
	case pipeline.Pad:
		inW, inH := o.Within(c.w, c.h)
		x, y := o.Gravity.Offset(toW, toH, inW, inH)
		m, err := c.scale(c.m, inW, inH)
		if err != nil {
			return nil, err
		}
		return c.place(m, toW, toH, x, y, o.Background)
	default:
		inW, inH := o.Within(c.w, c.h)
		return c.scale(c.m, inW, inH)
	}
}

func (c *canvas) cut(o pipeline.Crop) (ref, error) {
	x, y, w, h := o.Rectangle(c.w, c.h)
	a := area{x, y, w, h}
	if o.X == nil {
		var err error
		if a, err = c.held(o.Gravity, a); err != nil {
			return nil, err
		}
	}
	return c.part(a)
}
