package imaging

import (
	"fmt"
	"image"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
)

// scene is a picture on its way through a rendition's operations.
type scene struct {
	view
	focus focus
	// planar says that what follows leaves planes as they are, and the result is
	// made of planes.
	planar bool
	// whole is the size that the next resize counts from, when what is seen is a
	// smaller picture of the same; else zero.
	whole image.Point
	// colours is what is still to be done to the colours, nil for nothing.
	colours *transform
	// decided is the place that the next operation has chosen in an earlier frame
	// of an animation; empty when it has not yet.
	decided *image.Rectangle
	// mark gives a watermark's picture.
	mark func(pipeline.Asset) (*image.NRGBA, error)
}

// shows gives the scene with another picture in it.
func (s scene) shows(m image.Image) scene {
	s.view = viewOf(m)
	return s
}

// sees gives the scene with a part of its picture.
func (s scene) sees(r image.Rectangle) scene {
	s.view, s.focus = s.cut(r), s.focus.moved(r.Min)
	return s
}

// finished gives the picture in the colours that it is to have.
func (s scene) finished() image.Image {
	return s.coloured().picture()
}

// coloured gives the scene with its colours done, for what counts on them.
func (s scene) coloured() scene {
	if s.colours == nil {
		return s
	}
	s.view = s.boxed(1)
	s.img, s.colours = s.colours.apply(s.img), nil
	return s
}

// colouredFor gives the scene with its colours done for a picture of another
// size that is made of it. Boxes come before that, while there is most to do, and
// the filter that sharpens edges after it, as the native engine has it: what
// overshoots in other colours than those of the result shows at edges.
func (s scene) colouredFor(to image.Point) scene {
	if s.colours == nil {
		return s
	}
	to = s.turn.size(to)
	s.view = s.boxed(boxFactor(s.window(), to.X, to.Y))
	return s.coloured()
}

// once chooses a place, or gives the one that was chosen before.
func (s scene) once(choose func() image.Rectangle) image.Rectangle {
	if s.decided == nil {
		return choose()
	}
	if s.decided.Empty() {
		*s.decided = choose()
	}
	return *s.decided
}

// frame gives one decoded frame.
func (w *work) frame(n int) (view, error) {
	if w.small != nil {
		return smallView(w.small, w.plan.Shrink, image.Pt(w.Width, w.Height)), nil
	}
	m, err := w.still(n)
	if err != nil {
		return view{}, err
	}
	return viewOf(m), nil
}

func (w *work) still(n int) (image.Image, error) {
	if m := w.stills[n]; m != nil {
		return m, nil
	}
	if w.movie == nil {
		return nil, fmt.Errorf("frame %d was not decoded", n)
	}
	err := w.movie.each(n, func(i int, m *image.NRGBA) error {
		if i == n {
			w.stills[n] = pixelsOf(&image.NRGBA{Pix: append([]uint8(nil), m.Pix...), Stride: m.Stride, Rect: m.Rect})
		}
		return nil
	})
	if err == nil && w.stills[n] == nil {
		return nil, fault.Newf(fault.Unprocessable, "there is no frame %d; the picture has %d, counted from 0", n, len(w.movie.Image))
	}
	return w.stills[n], err
}

// unplanned is the failure of an operation that does not fit what a trim left.
func unplanned(err error) error {
	return fault.Wrap(fault.Unprocessable, err.Error(), err)
}
