package plan

import (
	"math"

	"imagemill/internal/sniff"
	"imagemill/services/worker/engine"
)

// draws reports whether originals of a format are drawings, which can be rendered
// in any size.
func draws(format string) bool { return format == string(sniff.SVG) || format == string(sniff.PDF) }

// maxDrawn is the longest side in which a drawing is rendered, in pixels: its
// renderers count in 16 bits.
const maxDrawn = 32_000

// maxAround is how many pixels are drawn for a part of any size.
const maxAround = 16 << 20

// draw finds the scales at which a drawing is rendered: for each rendition that
// continues from no other, the one that it needs, so that it is as crisp as can be.
// Those that begin with something else than a resize have it in its own size, in
// whose pixels they are meant.
func (p *Plan) draw(shapes []shape, original engine.Picture) {
	w, h := float64(original.Width), float64(original.Height)
	scales := make(map[int]float64, len(p.Steps))
	largest := 0.0
	for i, step := range p.Steps {
		s, scale := shapes[step.Rendition], 1.0
		switch from, ok := scales[step.From]; {
		case ok:
			scale = from
		case s.begins:
			scale = max(float64(s.toW)/float64(s.w), float64(s.toH)/float64(s.h))
			// To make a small part large draws all that is around it, too.
			most := max(area(original.Width, original.Height), 2*area(s.toW, s.toH), maxAround)
			scale = min(scale, math.Sqrt(float64(most)/(w*h)), maxDrawn/max(w, h))
		}
		scales[step.Rendition], p.Steps[i].Scale = scale, scale
		largest = max(largest, scale)
	}
	p.Width, p.Height = sniff.WholeSide(w*largest), sniff.WholeSide(h*largest)
}

// drawn is how many pixels a drawing has in all the sizes in which it is rendered.
func (p Plan) drawn(original engine.Picture) int64 {
	pixels, seen := 0.0, map[float64]bool{}
	for _, s := range p.Steps {
		if !seen[s.Scale] {
			seen[s.Scale] = true
			pixels += s.Scale * s.Scale * float64(original.Width) * float64(original.Height)
		}
	}
	return int64(pixels)
}
