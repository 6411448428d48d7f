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
	for _, why := range []string{slowOriginal(original), slowResult(s.r), slowOperations(s.r), slowGeometry(s)} {
		if why != "" {
			return why
		}
	}
	return ""
}

// planes reports whether a rendition that is not fast is made by the same code once
// the original is decoded: it is a single opaque picture, of a format that is
// decoded whole.
func planes(s shape, original engine.Picture, can engine.Abilities) bool {
	switch original.Format {
	case "png", "avif", "heic":
	default:
		return false
	}
	return can.Fast && !original.Alpha && original.Frames <= 1 && original.Bands == 3 &&
		s.r.Format != pipeline.Same && slowResult(s.r) == "" && slowOperations(s.r) == "" && slowGeometry(s) == ""
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

// slowResult: only what takes planes can be written from planes, and only once.
func slowResult(r pipeline.Rendition) string {
	switch r.Format {
	case pipeline.JPEG, pipeline.WebP, pipeline.Same, pipeline.Auto: // the last two are JPEG here
	case pipeline.PNG, pipeline.GIF, pipeline.AVIF, pipeline.TIFF, pipeline.JXL:
		return "the result is " + string(r.Format) + ", not jpeg or webp"
	}
	switch {
	case r.Lossless:
		return "the result is lossless"
	case r.TargetSSIM != 0:
		return "the quality is chosen by likeness"
	case r.MaxBytes != 0:
		return "the size of the file is bounded"
	case r.Metadata != pipeline.Strip:
		return "metadata is kept"
	case r.Profile != pipeline.SRGB:
		return "the colour profile is " + string(r.Profile)
	case r.Frame != 0:
		return "a later frame is asked for"
	}
	return ""
}

// slowOperations: only what moves and scales pixels is done on planes.
func slowOperations(r pipeline.Rendition) string {
	for i, op := range r.Operations {
		if why := needsMore(op); why != "" {
			return fmt.Sprintf("operations[%d] %s", i, why)
		}
	}
	return ""
}

// maxWebP is the longest side of a WebP in pixels.
const maxWebP = 16383

// slowGeometry: on planes all operations are one cut and one scaling. What comes
// after a border, or brings back what was made smaller, is more than that.
func slowGeometry(s shape) string {
	x, y, framed := 1.0, 1.0, false // pixels of the original to one of the result
	for i, op := range s.r.Operations {
		before, to := s.sizes[i], s.sizes[i+1]
		switch o := op.(type) {
		case pipeline.Rotate:
			if math.Mod(o.Angle, 180) != 0 {
				x, y = y, x
			}
		case pipeline.Crop:
			if framed {
				return fmt.Sprintf("operations[%d] cuts what was padded", i)
			}
		case pipeline.Resize:
			if framed {
				return fmt.Sprintf("operations[%d] scales what was padded", i)
			}
			fromW, fromH, toW, toH := before.Width, before.Height, to.Width, to.Height
			switch o.Fit {
			case pipeline.Cover:
				_, _, fromW, fromH = o.Source(fromW, fromH)
			case pipeline.Pad:
				toW, toH = o.Within(fromW, fromH)
				framed = toW != to.Width || toH != to.Height
			case pipeline.Contain, pipeline.Stretch, "":
			}
			nextX, nextY := x*float64(fromW)/float64(toW), y*float64(fromH)/float64(toH)
			if again(x, nextX) || again(y, nextY) {
				return fmt.Sprintf("operations[%d] enlarges what was made smaller", i)
			}
			x, y = nextX, nextY
		}
	}
	if end := s.sizes.Result(); s.r.Format == pipeline.WebP && max(end.Width, end.Height) > maxWebP {
		return "the result is too long for a webp made of planes"
	}
	return ""
}

// again reports whether a scaling enlarges what one before has made smaller.
func again(before, after float64) bool { return before > 1 && after < before*0.999 }

// needsMore says why an operation cannot be done on planes; empty when it can.
func needsMore(op pipeline.Operation) string {
	switch o := op.(type) {
	case pipeline.Resize:
		if _, _, _, alpha := o.Background.NRGBA(); o.Fit == pipeline.Pad && alpha != 255 {
			return "pads with transparency"
		}
		return placed(o.Gravity)
	case pipeline.Crop:
		return placed(o.Gravity)
	case pipeline.Flip:
		return ""
	case pipeline.Rotate:
		if math.Mod(o.Angle, 90) == 0 {
			return ""
		}
		return "turns by an odd angle"
	}
	return op.Op() + " needs more than planes"
}

// placed says why a gravity is not for planes: its place is found in the pixels
// or given by the rendition.
func placed(g pipeline.Gravity) string {
	switch g {
	case pipeline.Attention, pipeline.Entropy, pipeline.Focus:
		return "holds to " + string(g)
	case pipeline.Center, pipeline.North, pipeline.NorthEast, pipeline.East, pipeline.SouthEast,
		pipeline.South, pipeline.SouthWest, pipeline.West, pipeline.NorthWest:
	}
	return ""
}
