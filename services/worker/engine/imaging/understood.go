package imaging

import (
	"fmt"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
)

// understood refuses what this engine cannot make, before anything is read.
func understood(p pipeline.Pipeline) error {
	if len(p.Describe) > 0 {
		return fault.New(fault.Unsupported, "this engine describes nothing but size and format").WithField("describe")
	}
	for i, r := range p.Renditions {
		path := fmt.Sprintf("renditions[%d]", i)
		switch r.Format { //nolint:exhaustive // the others cannot be written
		case pipeline.Same, pipeline.JPEG, pipeline.PNG, pipeline.GIF:
		default:
			return fault.Newf(fault.Unsupported, "%s cannot be written by this engine; jpeg, png and gif can", r.Format).WithField(path + ".format")
		}
		if field := beyond(r); field != "" {
			return fault.Newf(fault.Unsupported, "%s is not known to this engine", field).WithField(path + "." + field)
		}
		for j, op := range r.Operations {
			if !known(op) {
				return fault.Newf(fault.Unsupported, "%s is not known to this engine", op.Op()).WithField(fmt.Sprintf("%s.operations[%d]", path, j))
			}
		}
	}
	return nil
}

// beyond names a field of a rendition that this engine does not heed.
func beyond(r pipeline.Rendition) string {
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"quality", r.TargetSSIM != 0}, {"maxBytes", r.MaxBytes != 0}, {"progressive", r.Progressive}, {"chroma", r.Chroma != ""},
		{"lossless", r.Lossless}, {"colors", r.Colors != 0}, {"metadata", r.Metadata != pipeline.Strip},
		{"profile", r.Profile != pipeline.SRGB}, {"frame", r.Frame != 0}, {"animated", r.Animated}, {"focalPoint", r.FocalPoint != nil},
	} {
		if f.given {
			return f.name
		}
	}
	return ""
}

// known reports whether stepOf has a row for the operation.
func known(op pipeline.Operation) bool {
	switch o := op.(type) {
	case pipeline.Resize:
		return o.Gravity != pipeline.Attention && o.Gravity != pipeline.Entropy
	case pipeline.Crop:
		return o.Gravity != pipeline.Attention && o.Gravity != pipeline.Entropy
	case pipeline.Rotate, pipeline.Flip, pipeline.Blur, pipeline.Sharpen, pipeline.Grayscale, pipeline.Brightness,
		pipeline.Contrast, pipeline.Gamma, pipeline.Saturation, pipeline.Hue, pipeline.Invert, pipeline.SwapRedBlue:
		return true
	}
	return false
}
