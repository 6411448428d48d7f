package pipeline

import (
	"fmt"
	"math"
)

// Step is the size of the picture after one operation.
type Step struct {
	// Path of the operation in its rendition ("operations[2]"), or "autoOrient"
	// for the first step.
	Path string
	// Width and Height in pixels, at least 1, at most math.MaxInt32: what is
	// larger than that is given as that.
	Width, Height int
	// AtMost says that the size depends on pixels: the operation is a trim, for
	// which this is the most that it can be, or comes after one, for which this
	// is what it would be if nothing had been cut off. PlanFrom knows better.
	AtMost bool
}

// Pixels is the area of the step's result.
func (s Step) Pixels() int64 { return int64(s.Width) * int64(s.Height) }

// Plan lists the sizes that a rendition passes through: first the picture as
// it enters the first operation, then the result of each operation. An engine
// never holds a picture larger than the original and all of these.
type Plan []Step

// Result is the last step: the size of the rendition.
func (p Plan) Result() Step { return p[len(p)-1] }

// Plan computes the sizes for an original that is stored as width×height with
// an EXIF orientation of 1 to 8 (anything else counts as 1). It touches no
// pixels. The error is an *Error: a crop that lies outside of the picture, or
// an original without pixels.
func (r Rendition) Plan(width, height, orientation int) (Plan, error) {
	if orientation >= 5 && orientation <= 8 && !r.KeepOrientation {
		width, height = height, width
	}
	return r.PlanFrom(0, width, height)
}

// PlanFrom plans again from a step whose real size is known, as it is after a
// trim: step is its place in the plan, so 0 is the picture before the first
// operation and i the result of Operations[i-1]. The first step of the new plan
// is that one. The error is as that of Plan, or that there is no such step.
func (r Rendition) PlanFrom(step, width, height int) (Plan, error) {
	switch {
	case step < 0 || step > len(r.Operations):
		return nil, wrong("", "there is no step %d; the rendition has 0 to %d", step, len(r.Operations))
	case width < 1 || height < 1:
		return nil, wrong("", "the picture has no pixels: it is %d×%d", width, height)
	}
	last := Step{Path: stepPath(step), Width: bound(int64(width)), Height: bound(int64(height))}
	plan := Plan{last}
	for i := step; i < len(r.Operations); i++ {
		next, err := last.after(r.Operations[i], i)
		if err != nil {
			return nil, err
		}
		plan, last = append(plan, next), next
	}
	return plan, nil
}

// after gives the step behind one more operation. An operation that fits only
// some sizes fails only when the size is known.
func (s Step) after(op Operation, i int) (Step, error) {
	_, trims := op.(Trim)
	next := Step{Path: stepPath(i + 1), AtMost: s.AtMost || trims}
	w, h, err := op.size(int64(s.Width), int64(s.Height))
	switch {
	case err != nil && !s.AtMost:
		return s, err.below(next.Path)
	case err != nil:
		w, h = int64(s.Width), int64(s.Height)
	}
	next.Width, next.Height = bound(w), bound(h)
	return next, nil
}

// stepPath is the path of a plan's step.
func stepPath(step int) string {
	if step == 0 {
		return "autoOrient"
	}
	return fmt.Sprintf("operations[%d]", step-1)
}

// bound keeps a side within 1 and math.MaxInt32, so that products of two
// sides never overflow.
func bound(v int64) int { return int(min(max(v, 1), math.MaxInt32)) }

// scaled is round(side × num / den), at least 1.
func scaled(side, num, den int64) int64 { return max((2*side*num+den)/(2*den), 1) }
