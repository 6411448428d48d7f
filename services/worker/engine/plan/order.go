package plan

import (
	"slices"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// cascade is how much larger, in both directions, a picture has to be for
// another rendition to continue from it. TestCascadeKeepsQuality measures: at
// 1.4 the end of a chain is at least 0.997 like what is made from the original
// (SSIM), at 2 not much more. A cut needs 2, so that its place, in whole pixels of
// the picture, is right to a quarter of a pixel of the result.
const (
	cascade    = 1.4
	cascadeCut = 2
)

// order puts the renditions into the order in which they are made, largest
// first, and lets each continue from the smallest picture that is large enough.
func order(shapes []shape, original engine.Picture, can engine.Abilities) []Step {
	steps := make([]Step, len(shapes))
	for i, s := range shapes {
		end := s.sizes.Result()
		steps[i] = Step{Rendition: i, From: Original, Width: end.Width, Height: end.Height, Why: slow(s, original, can)}
		steps[i].Fast = steps[i].Why == ""
		steps[i].Planes = !steps[i].Fast && planes(s, original, can)
	}
	slices.SortStableFunc(steps, func(a, b Step) int {
		left, right := shapes[a.Rendition].area(), shapes[b.Rendition].area()
		switch {
		case left > right:
			return -1
		case left < right:
			return 1
		}
		return 0
	})
	for i := range steps {
		for _, before := range steps[:i] {
			larger, s := shapes[before.Rendition], shapes[steps[i].Rendition]
			if before.Fast == steps[i].Fast && before.Planes == steps[i].Planes && s.continues(larger, original) {
				steps[i].From = before.Rendition // a later one is smaller
			}
		}
	}
	return steps
}

// area is that of the whole original after the first resize, by which
// renditions are ordered.
func (s shape) area() float64 {
	if !s.begins {
		return float64(s.sizes[0].Pixels())
	}
	w, h := s.wholeSize()
	return w * h
}

// continues reports whether s can begin with the picture that larger has after
// its first resize.
func (s shape) continues(larger shape, original engine.Picture) bool {
	if !s.begins || !larger.begins || s.first != 0 || larger.first != 0 || !larger.plain() {
		return false
	}
	if s.r.Animated || larger.r.Animated || s.r.Frame != larger.r.Frame {
		return false
	}
	if original.Orientation > 1 && s.r.KeepOrientation != larger.r.KeepOrientation {
		return false
	}
	factor := cascade
	if !s.whole {
		factor = cascadeCut
	}
	w, h := s.wholeSize()
	return float64(larger.toW) >= factor*w && float64(larger.toH) >= factor*h
}

// plain reports whether the first resize leaves the whole picture, in its
// shape, no larger than it was.
func (s shape) plain() bool {
	fit := s.resize().Fit
	return (fit == "" || fit == pipeline.Contain) && s.toW <= s.sizes[0].Width && s.toH <= s.sizes[0].Height
}
