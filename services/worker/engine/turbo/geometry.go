//go:build vips

package turbo

import (
	"fmt"
	"math"

	"imagemill/pkg/pipeline"
)

// line says where the pixels of a result lie along one of its axes: pixel i
// covers offset+i*scale to offset+(i+1)*scale of a source, in the source's
// pixels. A negative scale mirrors. Only the source from lo to hi is used.
type line struct {
	n             int
	offset, scale float64
	lo, hi        float64
}

// geometry is where a result lies in its source. The operations of the fast
// path are all of this kind, so that any number of them is one resampling.
type geometry struct {
	x, y line
	// turned says that x runs along the source's y, and y along its x.
	turned bool
	// frame is set when the picture lies within a wider canvas.
	frame *frame
}

// frame is where a picture lies on a canvas and what is around it.
type frame struct {
	x, y, w, h int
	color      pipeline.Color
}

// whole is a source as it is.
func whole(w, h int) geometry {
	return geometry{x: line{w, 0, 1, 0, float64(w)}, y: line{h, 0, 1, 0, float64(h)}}
}

func (l *line) mirror() {
	l.offset += l.scale * float64(l.n)
	l.scale = -l.scale
}

func (l *line) cut(from, n int) {
	l.offset += l.scale * float64(from)
	l.n = n
}

// resize scales the line to n pixels of which none sees beyond the line's ends.
func (l *line) resize(n int) {
	if n == l.n {
		return
	}
	end := l.offset + l.scale*float64(l.n)
	l.lo, l.hi = max(l.lo, min(l.offset, end)), min(l.hi, max(l.offset, end))
	l.scale *= float64(l.n) / float64(n)
	l.n = n
}

// turn exchanges the axes: a mirroring at the falling diagonal.
func (g *geometry) turn() {
	g.x, g.y = g.y, g.x
	g.turned = !g.turned
	if g.frame != nil {
		f := *g.frame
		g.frame = &frame{f.y, f.x, f.h, f.w, f.color}
	}
}

func (g *geometry) mirrorX() {
	if f := g.frame; f != nil {
		g.frame = &frame{g.x.n - f.x - f.w, f.y, f.w, f.h, f.color}
	}
	g.x.mirror()
}

func (g *geometry) mirrorY() {
	if f := g.frame; f != nil {
		g.frame = &frame{f.x, g.y.n - f.y - f.h, f.w, f.h, f.color}
	}
	g.y.mirror()
}

// orient sets a stored picture upright by its EXIF orientation.
func (g *geometry) orient(orientation int) {
	if orientation >= 5 && orientation <= 8 {
		g.turn()
	}
	switch orientation {
	case 2, 3, 6, 7:
		g.mirrorX()
	}
	switch orientation {
	case 3, 4, 7, 8:
		g.mirrorY()
	}
}

// rotate turns clockwise by a multiple of 90 degrees.
func (g *geometry) rotate(angle float64) {
	switch math.Mod(angle+720, 360) {
	case 90:
		g.turn()
		g.mirrorX()
	case 180:
		g.mirrorX()
		g.mirrorY()
	case 270:
		g.turn()
		g.mirrorY()
	}
}

// pad scales to w×h and puts that at x, y of a canvas, whose pixels around the
// picture are counted from its edges.
func (g *geometry) pad(canvasW, canvasH int, f frame) {
	g.x.resize(f.w)
	g.y.resize(f.h)
	g.x.cut(-f.x, canvasW)
	g.y.cut(-f.y, canvasH)
	if f.w != canvasW || f.h != canvasH {
		g.frame = &f
	}
}

// geometryOf puts a rendition's operations together for a stored picture of
// w×h pixels. Its error is a *NotFast.
func geometryOf(r pipeline.Rendition, w, h, orientation int) (geometry, error) {
	g := whole(w, h)
	if !r.KeepOrientation {
		g.orient(orientation)
	}
	sizes, err := r.Plan(w, h, orientation)
	if err != nil {
		return g, fmt.Errorf("plan rendition %s: %w", r.Name, err)
	}
	for i, op := range r.Operations {
		if why := g.apply(op, sizes[i+1]); why != "" {
			return g, notFast("operations[%d] %s: %s", i, op.Op(), why)
		}
		if g.x.n != sizes[i+1].Width || g.y.n != sizes[i+1].Height {
			return g, fmt.Errorf("rendition %s: operations[%d] gives %d×%d, planned was %+v", r.Name, i, g.x.n, g.y.n, sizes[i+1])
		}
	}
	return g, nil
}

// apply adds one operation with a result of the size to. It gives the reason
// when that cannot be done by moving and scaling.
func (g *geometry) apply(op pipeline.Operation, to pipeline.Step) string {
	switch o := op.(type) {
	case pipeline.Flip:
		if o.Horizontal {
			g.mirrorX()
		}
		if o.Vertical {
			g.mirrorY()
		}
		return ""
	case pipeline.Rotate:
		if math.Mod(o.Angle, 90) != 0 {
			return "the angle is not a multiple of 90"
		}
		g.rotate(o.Angle)
		return ""
	}
	if g.frame != nil {
		return "it comes after a pad"
	}
	switch o := op.(type) {
	case pipeline.Crop:
		if smart(o.Gravity) {
			return "the place depends on the picture"
		}
		x, y, w, h := o.Rectangle(g.x.n, g.y.n)
		g.x.cut(x, w)
		g.y.cut(y, h)
		return ""
	case pipeline.Resize:
		return g.applyResize(o, to)
	}
	return "it changes more than place and size"
}

func (g *geometry) applyResize(o pipeline.Resize, to pipeline.Step) string {
	if smart(o.Gravity) {
		return "the place depends on the picture"
	}
	before := *g
	switch o.Fit {
	case pipeline.Cover:
		x, y, w, h := o.Source(g.x.n, g.y.n)
		g.x.cut(x, w)
		g.y.cut(y, h)
		g.x.resize(to.Width)
		g.y.resize(to.Height)
	case pipeline.Pad:
		w, h := o.Within(g.x.n, g.y.n)
		x, y := o.Gravity.Offset(to.Width, to.Height, w, h)
		g.pad(to.Width, to.Height, frame{x, y, w, h, o.Background})
		if _, _, _, alpha := o.Background.NRGBA(); g.frame != nil && alpha != 255 {
			return "the background is not opaque"
		}
	default:
		g.x.resize(to.Width)
		g.y.resize(to.Height)
	}
	if enlargesAgain(before.x, g.x) || enlargesAgain(before.y, g.y) {
		return "it enlarges what was made smaller before"
	}
	return ""
}

// enlargesAgain: what a reduction has lost must not come back.
func enlargesAgain(before, after line) bool {
	return math.Abs(before.scale) > 1 && math.Abs(after.scale) < math.Abs(before.scale)*0.999
}

// smart reports whether the place of a cut is more than a corner, edge or middle.
func smart(g pipeline.Gravity) bool {
	return g == pipeline.Attention || g == pipeline.Entropy || g == pipeline.Focus
}
