package plan

import (
	"slices"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// Original is the value of Step.From for a step that begins with the decoded
// original.
const Original = -1

// Plan is how a pipeline is carried out on one original.
type Plan struct {
	// Shrink is 1, 2, 4 or 8: the original is decoded at 1/Shrink of its size.
	Shrink int `json:"shrink"`
	// Width and Height are the size as decoded, in the stored orientation. A drawing
	// is decoded in the size that is needed.
	Width  int `json:"width"`
	Height int `json:"height"`
	// Steps are the renditions in the order in which they are made: every
	// rendition once, after the one that it continues from.
	Steps []Step `json:"steps"`
	// Memory is an estimate of the most memory that the job needs at a time, in
	// bytes, the engine's process included..
	Memory int64 `json:"memory"`
}

// Step makes one rendition.
type Step struct {
	// Rendition is its index in the pipeline.
	Rendition int `json:"rendition"`
	// From is Original, or the index in the pipeline of the rendition whose
	// picture after its first resize this one continues from.
	From int `json:"from"`
	// Scale is, of a drawing (SVG, PDF), how many times its own size it is rendered
	// for this rendition; 0 for other originals.
	Scale float64 `json:"scale,omitempty"`
	// Fast says that the fast path makes it.
	Fast bool `json:"fast"`
	// Planes says that it is not Fast, but only because of the original: once that
	// is decoded, the same code makes it. An engine that finds the original other
	// than its header says may do without.
	Planes bool `json:"planes,omitempty"`
	// Why says in words why it is not Fast; empty when it is.
	Why string `json:"why,omitempty"`
	// Path is the code that makes it: one of the Path constants of package engine,
	// as engine.Rendition.Path tells it afterwards. Where the fast path finds more
	// than the header said, libvips takes over.
	Path string `json:"path"`
	// Width and Height are the size of the result in pixels.
	Width  int `json:"width"`
	Height int `json:"height"`
}

// FirstResize is the index of a rendition's first resize, -1 when it has none.
func FirstResize(r pipeline.Rendition) int {
	for i, op := range r.Operations {
		if _, ok := op.(pipeline.Resize); ok {
			return i
		}
	}
	return -1
}

// Make plans a valid pipeline for an original with these properties, carried
// out by an engine of these abilities. It fails as pipeline.Rendition.Plan
// does, when an operation makes no sense for an original of this size.
func Make(p pipeline.Pipeline, original engine.Picture, can engine.Abilities) (Plan, error) {
	shapes, err := shapesOf(p, original)
	if err != nil {
		return Plan{}, err
	}
	out := Plan{Shrink: shrink(shapes, original, can), Steps: order(shapes, original, can)}
	if can.Floors && slices.ContainsFunc(out.Steps, func(s Step) bool { return !s.Fast }) {
		out.Shrink = filled(out.Shrink, original)
	}
	out.Width, out.Height = shrunk(original.Width, out.Shrink), shrunk(original.Height, out.Shrink)
	if draws(original.Format) {
		out.draw(shapes, original)
	}
	out.path(Plain(p) && Tiny(p, original), can)
	out.Memory = memory(out, shapes, original, can)
	return out, nil
}

// path fills in which code makes each step.
func (p *Plan) path(tiny bool, can engine.Abilities) {
	for i := range p.Steps {
		s := &p.Steps[i]
		switch {
		case can.Engine == engine.PathImaging, can.Fast && tiny:
			s.Path = engine.PathImaging
		case s.Fast:
			s.Path = engine.PathFast
		case s.Planes:
			s.Path = engine.PathPlanes
		default:
			s.Path = engine.PathVips
		}
	}
}

// shrunk is a side decoded at 1/by: rounded up, as decoders do.
func shrunk(side, by int) int { return (side + by - 1) / by }
