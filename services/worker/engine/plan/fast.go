package plan

import (
	"fmt"
	"math"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// slow says in words why a rendition cannot take the fast path; empty when it
// can.
func slow(s shape, original engine.Picture, can engine.Abilities) string {
	if !can.Fast {
		return "this engine has no fast path"
	}
	for _, why := range []string{slowOriginal(original), slowResult(s.r), slowOperations(s.r)} {
		if why != "" {
			return why
		}
	}
	return ""
}

// slowOriginal: the fast path takes the planes of a JPEG as they are.
func slowOriginal(p engine.Picture) string {
	switch {
	case p.Format != "jpeg":
		return "the original is " + p.Format + ", not jpeg"
	case p.Depth != 8:
		return fmt.Sprintf("the original has %d bits, not 8", p.Depth)
	case p.Profile != "" && p.Profile != engine.ProfileSRGB:
		return "the colours of the original are " + p.Profile + ", not srgb"
	}
	switch p.Chroma {
	case engine.Chroma420, engine.Chroma422, engine.Chroma444, engine.ChromaGray:
		return ""
	case "":
		return "the planes of the original are of an unusual form"
	}
	return "the planes of the original are " + p.Chroma
}

// slowResult: only what takes planes can be written from planes.
func slowResult(r pipeline.Rendition) string {
	switch r.Format {
	case pipeline.JPEG, pipeline.Same, "webp":
		return ""
	case pipeline.PNG, pipeline.GIF:
	}
	return "the result is " + string(r.Format) + ", which is not made of planes"
}

// slowOperations: only what moves and scales pixels is done on planes.
func slowOperations(r pipeline.Rendition) string {
	for i, op := range r.Operations {
		if !planar(op) {
			return fmt.Sprintf("operations[%d] %s needs more than planes", i, op.Op())
		}
	}
	return ""
}

func planar(op pipeline.Operation) bool {
	switch o := op.(type) {
	case pipeline.Resize:
		_, _, _, alpha := o.Background.NRGBA()
		return o.Fit != pipeline.Pad || alpha == 255
	case pipeline.Crop, pipeline.Flip:
		return true
	case pipeline.Rotate:
		return math.Mod(o.Angle, 90) == 0
	}
	return false
}
