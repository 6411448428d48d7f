package imaging

import (
	"context"
	"fmt"
	"image"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/plan"
)

// rendition makes and writes one rendition.
func (e *Engine) rendition(ctx context.Context, w *work, s plan.Step) (engine.Rendition, error) {
	r := w.job.Pipeline.Renditions[s.Rendition]
	if keepsFrames(r, w.Picture) {
		return e.animation(ctx, w, r)
	}
	m, err := w.perform(ctx, s, r)
	if err != nil {
		return engine.Rendition{}, err
	}
	format := target(r.Format, w.Format, m)
	b, err := e.encoded(ctx, m, format, r)
	if err != nil {
		return engine.Rendition{}, err
	}
	b.extra = w.metadata(r)
	return e.write(w.job.Dir, r.Name, format, m.Bounds().Size(), b)
}

// perform carries out a rendition's operations on a still picture.
func (w *work) perform(ctx context.Context, s plan.Step, r pipeline.Rendition) (image.Image, error) {
	from, first := scene{}, 0
	if before, ok := w.firsts[s.From]; ok && s.From >= 0 {
		from, first = before, plan.FirstResize(r)
		from.planar = false
	} else {
		v, err := w.frame(r.Frame)
		if err != nil {
			return nil, err
		}
		from = w.enters(v, r)
	}
	end, err := w.chain(ctx, from, r, first, s.Rendition, decisions{})
	if err != nil {
		return nil, err
	}
	return end.finished(), nil
}

// enters gives a frame as a rendition's first operation sees it.
func (w *work) enters(v view, r pipeline.Rendition) scene {
	s := scene{view: v, mark: w.mark, colours: w.colours}
	if !r.KeepOrientation {
		s.view = s.turned(turnOf(w.Orientation))
	}
	if p := r.FocalPoint; p != nil {
		size := s.size()
		s.focus = focus{p.X * float64(size.X), p.Y * float64(size.Y), true}
	}
	return s
}

// chain carries out the operations from first on. Where other renditions
// continue from this one, what it was after its first resize is kept.
func (w *work) chain(ctx context.Context, s scene, r pipeline.Rendition, first, index int, made decisions) (scene, error) {
	sizes, err := r.Plan(w.Width, w.Height, w.Orientation)
	if err != nil {
		return s, fmt.Errorf("plan rendition %s: %w", r.Name, err)
	}
	if first > 0 || s.size() != image.Pt(sizes[0].Width, sizes[0].Height) {
		s.whole = image.Pt(sizes[first].Width, sizes[first].Height)
	}
	resize := plan.FirstResize(r)
	for i := first; i < len(r.Operations); i++ {
		if err := expired(ctx); err != nil {
			return s, err
		}
		s.planar, s.decided = s.colours == nil && planar(r, i+1), made.at(i)
		if s, err = s.apply(r.Operations[i]); err != nil {
			return s, fmt.Errorf("rendition %s: %s: %w", r.Name, r.Operations[i].Op(), err)
		}
		if sizes[i+1].AtMost {
			if sizes, err = w.planned(index, r, sizes, i+1, s.size()); err != nil {
				return s, err
			}
		}
		if got := s.size(); got != image.Pt(sizes[i+1].Width, sizes[i+1].Height) {
			return s, fmt.Errorf("rendition %s: %s gave %v, planned was %+v", r.Name, r.Operations[i].Op(), got, sizes[i+1])
		}
		if i == resize && w.continued(index) {
			w.firsts[index] = s
		}
	}
	return s, expired(ctx)
}

// planned gives the sizes with those after a trim, whose result is known only
// now, planned again and checked.
func (w *work) planned(index int, r pipeline.Rendition, sizes pipeline.Plan, step int, size image.Point) (pipeline.Plan, error) {
	rest, err := r.PlanFrom(step, size.X, size.Y)
	if err != nil {
		return nil, unplanned(err)
	}
	if err := w.limits.CheckRest(index, rest); err != nil {
		return nil, err
	}
	return append(sizes[:step:step], rest...), nil
}

// continued reports whether a later rendition continues from this one.
func (w *work) continued(index int) bool {
	for _, s := range w.plan.Steps {
		if s.From == index {
			return true
		}
	}
	return false
}

// decisions are places that depend on what is seen, by the index of their
// operation: all frames of an animation are cut where the first one is.
type decisions map[int]*image.Rectangle

func (d decisions) at(i int) *image.Rectangle {
	if d[i] == nil {
		d[i] = new(image.Rectangle)
	}
	return d[i]
}
