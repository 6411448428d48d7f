//go:build vips

package vips

import (
	"context"
	"errors"
	"fmt"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine/plan"
)

// task is the making of one rendition.
type task struct {
	*Original
	ctx       context.Context
	r         pipeline.Rendition
	step      plan.Step
	wants     decoding
	alone     bool // no other rendition needs the decoded original
	continued bool // another rendition continues from the first resize
	// choices are the places that were chosen by the pixels, by operation: all
	// frames of an animation go by the first.
	choices map[int]area

	own scope
}

// area is a part of a picture.
type area struct{ x, y, w, h int }

// run makes the rendition and writes it, or has it written by e.
func (t *task) run(e *encoders) error {
	sizes, err := t.planned(t.r)
	if err != nil {
		return err
	}
	m, frames, err := t.render(sizes)
	if err == nil {
		err = expired(t.ctx)
	}
	if err != nil {
		t.own.close()
		return err
	}
	return e.write(t, m, frames)
}

// render makes the picture, in memory. An animation is frames pictures of one
// size, one below the other.
func (t *task) render(sizes pipeline.Plan) (m ref, frames int, err error) {
	if t.wants.whole {
		return t.animation(sizes)
	}
	m, at, err := t.begin()
	if errors.Is(err, errFrame) {
		return nil, 1, fault.As(err).WithField(fmt.Sprintf("renditions[%d].frame", t.step.Rendition))
	}
	if err != nil {
		return nil, 1, damaged(t.src.format, err)
	}
	m, err = t.operations(m, at, sizes)
	return m, 1, err
}

// operations carries out the operations from at on.
func (t *task) operations(m ref, at int, sizes pipeline.Plan) (ref, error) {
	first := plan.FirstResize(t.r)
	focus := newFocus(t.r)
	for i, op := range t.r.Operations[:at] {
		focus.follow(op, sizes[i], sizes[i+1])
	}
	for i := at; i < len(t.r.Operations); i++ {
		if err := expired(t.ctx); err != nil {
			return nil, err
		}
		op := t.r.Operations[i]
		c := canvas{task: t, scope: &t.own, m: m, w: sizes[i].Width, h: sizes[i].Height, op: i, focus: focus}
		var err error
		if m, err = c.apply(op); err != nil {
			return nil, damaged(t.src.format, err)
		}
		if sizes, err = t.checked(m, sizes, i, first); err != nil {
			return nil, err
		}
		focus.follow(op, sizes[i], sizes[i+1])
		if i != first {
			continue
		}
		if m, err = t.settle(m); err != nil {
			return nil, err
		}
		if t.continued && !t.wants.whole {
			t.middle[t.step.Rendition] = middle{t.scope.adopt(m), t.wants}
		}
	}
	return t.settle(m)
}

// checked holds the result of operation i to its plan, and plans again where
// that was only an upper bound.
func (t *task) checked(m ref, sizes pipeline.Plan, i, first int) (pipeline.Plan, error) {
	to, w, h := sizes[i+1], width(m), height(m)
	switch {
	case i < first && (t.wants.shrink > 1 || t.wants.scale > 0): // cut out of what was decoded in another size
		return sizes, nil
	case w == to.Width && h == to.Height:
		return sizes, nil
	case !to.AtMost:
		return nil, fmt.Errorf("rendition %s: %s gave %d×%d, planned was %d×%d", t.r.Name, t.r.Operations[i].Op(), w, h, to.Width, to.Height)
	}
	rest, err := t.r.PlanFrom(i+1, w, h)
	if err != nil {
		return nil, fault.Wrap(fault.Unprocessable, err.Error(), err).WithField(fmt.Sprintf("renditions[%d]", t.step.Rendition))
	}
	if err := t.limits.CheckRest(t.step.Rendition, rest); err != nil {
		return nil, err
	}
	return append(sizes[:i+1:i+1], rest...), nil
}

// settle computes the pixels and lets go of all that led to them.
func (t *task) settle(m ref) (ref, error) {
	m, err := t.own.memory(m)
	if err != nil {
		return nil, damaged(t.src.format, err)
	}
	if !t.wants.whole { // whose other frames are still needed
		t.own.keep(m)
	}
	return m, nil
}

// begin gives the picture that the operations from at on are carried out on.
func (t *task) begin() (m ref, at int, err error) {
	if before, ok := t.middle[t.step.From]; ok && t.step.From != plan.Original && before.d == t.wants {
		return t.own.adopt(before.m), plan.FirstResize(t.r), nil
	}
	if t.streams() {
		m, err := t.own.decode(t.src, t.wants)
		if err != nil || !alpha(m) {
			return m, 0, err
		} // most pictures make no use of alpha, which only their pixels tell
	}
	if m, err = t.base(t.wants); err != nil {
		return nil, 0, err
	}
	return t.own.adopt(m), 0, nil
}

// streams reports whether the rows of the original can go through the first
// resize as they are decoded, without the whole being in memory: nobody else
// needs it, and all that stands before is crops at places that are known.
func (t *task) streams() bool {
	_, simple := inGo[t.src.format]
	first := plan.FirstResize(t.r)
	if !t.alone || t.wants.upright || t.wants.whole || simple || first < 0 {
		return false
	}
	for _, op := range t.r.Operations[:first+1] {
		switch o := op.(type) {
		case pipeline.Crop:
			if chosen(o.Gravity) {
				return false
			}
		case pipeline.Resize:
			if chosen(o.Gravity) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// chosen reports whether the place of a gravity depends on pixels.
func chosen(g pipeline.Gravity) bool { return g == pipeline.Attention || g == pipeline.Entropy }
