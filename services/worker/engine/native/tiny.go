//go:build vips

package native

import (
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// tinyPixels is the area up to which pure Go is faster than libvips, which
// takes a millisecond and more for each call whatever the picture's size.
const tinyPixels = 128 * 128

// isTiny reports whether a picture and all that becomes of it are so small and
// simple that engine/imaging does it as well, and faster.
func isTiny(p pipeline.Pipeline, o engine.Picture) bool {
	if o.Width*o.Height > tinyPixels || o.Format != "png" || o.Depth > 8 || o.Profile != "" && o.Profile != engine.ProfileSRGB || len(p.Describe) > 0 {
		return false
	}
	for _, r := range p.Renditions {
		plain := r.Format == pipeline.Same || r.Format == pipeline.PNG || r.Format == pipeline.JPEG
		if !plain || r.Metadata != pipeline.Strip || r.Profile != pipeline.SRGB || r.Frame != 0 || r.Colors != 0 || r.Progressive ||
			r.Chroma != "" || r.TargetSSIM != 0 || r.MaxBytes != 0 {
			return false
		}
		sizes, err := r.Plan(o.Width, o.Height, o.Orientation)
		if err != nil {
			return false
		}
		for _, s := range sizes {
			if s.Pixels() > tinyPixels {
				return false
			}
		}
		for _, op := range r.Operations {
			if !tinyOperation(op) {
				return false
			}
		}
	}
	return true
}

// tinyOperation reports whether both engines carry out an operation alike and
// without assets.
func tinyOperation(op pipeline.Operation) bool {
	switch o := op.(type) {
	case pipeline.Resize:
		return o.Gravity != pipeline.Attention && o.Gravity != pipeline.Entropy
	case pipeline.Crop:
		return o.Gravity != pipeline.Attention && o.Gravity != pipeline.Entropy
	case pipeline.Rotate, pipeline.Flip, pipeline.SwapRedBlue, pipeline.Grayscale, pipeline.Invert, pipeline.Brightness, pipeline.Contrast:
		return true
	}
	return false
}
