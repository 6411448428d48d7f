package plan

import (
	"slices"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// tinyPixels is the area up to which pure Go is faster than libvips, which
// takes a millisecond and more for each call whatever the picture's size.
const tinyPixels = 128 * 128

// Plain reports whether a pipeline asks for nothing in which the engines differ.
func Plain(p pipeline.Pipeline) bool {
	if len(p.Describe) > 0 {
		return false
	}
	for _, r := range p.Renditions {
		plain := r.Format == pipeline.Same || r.Format == pipeline.PNG || r.Format == pipeline.JPEG
		if !plain || r.Metadata != pipeline.Strip || r.Profile != pipeline.SRGB || r.Frame != 0 || r.Colors != 0 || r.Progressive ||
			r.Chroma != "" || r.TargetSSIM != 0 || r.MaxBytes != 0 || slices.ContainsFunc(r.Operations, isNotTiny) {
			return false
		}
	}
	return true
}

// Tiny reports whether a picture and all that a Plain pipeline makes of it are
// small: then the native engine leaves the job to engine/imaging, which does it as
// well, and faster.
func Tiny(p pipeline.Pipeline, o engine.Picture) bool {
	if o.Width*o.Height > tinyPixels || o.Format != "png" || o.Depth > 8 || o.Profile != "" && o.Profile != engine.ProfileSRGB {
		return false
	}
	for _, r := range p.Renditions {
		sizes, err := r.Plan(o.Width, o.Height, o.Orientation)
		if err != nil {
			return false
		}
		for _, s := range sizes {
			if s.Pixels() > tinyPixels {
				return false
			}
		}
	}
	return true
}

// isNotTiny reports whether the engines carry out an operation differently, or with
// assets.
func isNotTiny(op pipeline.Operation) bool {
	switch o := op.(type) {
	case pipeline.Resize:
		return o.Gravity == pipeline.Attention || o.Gravity == pipeline.Entropy
	case pipeline.Crop:
		return o.Gravity == pipeline.Attention || o.Gravity == pipeline.Entropy
	case pipeline.Rotate, pipeline.Flip, pipeline.SwapRedBlue, pipeline.Grayscale, pipeline.Invert, pipeline.Brightness, pipeline.Contrast:
		return false
	}
	return true
}
