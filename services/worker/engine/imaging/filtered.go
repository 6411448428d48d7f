package imaging

import (
	"fmt"
	"image"

	lib "github.com/disintegration/imaging"

	"imagemill/pkg/pipeline"
)

// filtered carries out an operation that changes pixels where they are.
func filtered(op pipeline.Operation, m image.Image) image.Image {
	switch o := op.(type) {
	case pipeline.Blur:
		return lib.Blur(m, o.Sigma)
	case pipeline.Sharpen:
		return lib.Sharpen(m, o.Sigma)
	case pipeline.Grayscale:
		return lib.Grayscale(m)
	case pipeline.Brightness:
		return lib.AdjustBrightness(m, o.Percent)
	case pipeline.Contrast:
		return lib.AdjustContrast(m, o.Percent)
	case pipeline.Gamma:
		return lib.AdjustGamma(m, o.Value)
	case pipeline.Saturation:
		return lib.AdjustSaturation(m, o.Percent)
	case pipeline.Hue:
		return turnHue(m, o.Degrees)
	case pipeline.Invert:
		return lib.Invert(m)
	case pipeline.SwapRedBlue:
		return swapRedBlue(m)
	case pipeline.Pixelate:
		return pixelate(m, o.Size)
	case pipeline.Sepia:
		return sepia(m, o.Percent)
	case pipeline.Tint:
		return tint(m, o.Color)
	case pipeline.ExtractChannel:
		return extract(m, o.Channel)
	case pipeline.RoundCorners:
		return rounded(m, o)
	case pipeline.Flatten:
		under := nrgba(o.Background)
		return flatten(m, under)
	}
	// The set is closed: only a new operation without its row here comes this far.
	panic(fmt.Sprintf("operation %s has no row", op.Op()))
}
