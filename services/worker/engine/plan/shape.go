package plan

import (
	"fmt"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// shape is what the plan needs to know of one rendition's geometry.
type shape struct {
	r     pipeline.Rendition
	sizes pipeline.Plan
	first int // its first resize, -1 for none
	// begins says that only crops stand before the first resize, so that the
	// original may be decoded smaller.
	begins bool
	// whole says that the first resize takes in the whole picture; then right and
	// bottom edges of a decoded picture lie where they should.
	whole bool
	// free says that the place of a cut is found in the decoded picture, so that
	// it always falls on whole pixels; odd that it may fall anywhere.
	free, odd bool
	// x, y, w, h is the part of the upright original that the first resize brings
	// to toW×toH.
	x, y, w, h int
	toW, toH   int
}

// shapesOf works out the geometry of every rendition.
func shapesOf(p pipeline.Pipeline, original engine.Picture) ([]shape, error) {
	shapes := make([]shape, len(p.Renditions))
	for i, r := range p.Renditions {
		sizes, err := r.Plan(original.Width, original.Height, original.Orientation)
		if err != nil {
			return nil, fmt.Errorf("plan rendition %s: %w", r.Name, err)
		}
		shapes[i] = shapeOf(r, sizes)
	}
	return shapes, nil
}

func shapeOf(r pipeline.Rendition, sizes pipeline.Plan) shape {
	s := shape{r: r, sizes: sizes, first: FirstResize(r), w: sizes[0].Width, h: sizes[0].Height, begins: true}
	for _, op := range r.Operations[:max(s.first, 0)] {
		crop, ok := op.(pipeline.Crop)
		if !ok {
			s.begins = false
			return s
		}
		s.place(crop.Gravity)
		x, y, w, h := crop.Rectangle(s.w, s.h)
		s.x, s.y, s.w, s.h = s.x+x, s.y+y, w, h
	}
	if s.first < 0 {
		s.begins = false
		return s
	}
	resize, _ := r.Operations[s.first].(pipeline.Resize)
	s.toW, s.toH = sizes[s.first+1].Width, sizes[s.first+1].Height
	switch resize.Fit {
	case pipeline.Cover:
		s.place(resize.Gravity)
		x, y, w, h := resize.Source(s.w, s.h)
		s.x, s.y, s.w, s.h = s.x+x, s.y+y, w, h
	case pipeline.Pad:
		s.toW, s.toH = resize.Within(s.w, s.h)
	case pipeline.Contain, pipeline.Stretch, "":
	}
	s.whole = s.w == sizes[0].Width && s.h == sizes[0].Height
	return s
}

// place notes how the place of a cut is found.
func (s *shape) place(g pipeline.Gravity) {
	s.free = s.free || g == pipeline.Attention || g == pipeline.Entropy
	s.odd = s.odd || g == pipeline.Focus
}

// resize is the first resize; only for a shape that has one.
func (s shape) resize() pipeline.Resize {
	r, _ := s.r.Operations[s.first].(pipeline.Resize)
	return r
}

// wholeSize is the size to which the first resize scales the whole upright
// original, of which a cut may then show a part.
func (s shape) wholeSize() (w, h float64) {
	return float64(s.toW) * float64(s.sizes[0].Width) / float64(s.w),
		float64(s.toH) * float64(s.sizes[0].Height) / float64(s.h)
}
