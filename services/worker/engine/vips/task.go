//go:build vips

package vips

import (
	"context"
	"fmt"
	"math"

	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/plan"
)

// task is the making of one rendition.
type task struct {
	*Original
	ctx       context.Context
	r         pipeline.Rendition
	step      plan.Step
	shrink    int
	alone     bool // no other rendition needs the decoded original
	continued bool // another rendition continues from the first resize

	own scope
}

// run makes the rendition and writes it.
func (t *task) run() (engine.Rendition, error) {
	defer t.own.close()
	m, err := t.render()
	if err != nil {
		return engine.Rendition{}, err
	}
	if err := expired(t.ctx); err != nil {
		return engine.Rendition{}, err
	}
	return t.write(m)
}

// render carries out all operations; its result is in memory.
func (t *task) render() (ref, error) {
	sizes, err := t.planned(t.r)
	if err != nil {
		return nil, err
	}
	m, at, err := t.begin()
	if err != nil {
		return nil, err
	}
	first := plan.FirstResize(t.r)
	for i := at; i < len(t.r.Operations); i++ {
		if err := expired(t.ctx); err != nil {
			return nil, err
		}
		c := canvas{scope: &t.own, m: m, w: sizes[i].Width, h: sizes[i].Height}
		if m, err = c.apply(t.r.Operations[i]); err != nil {
			return nil, damaged(t.src.format, err)
		}
		to := sizes[i+1]
		if i >= first && (width(m) != to.Width || height(m) != to.Height) {
			return nil, fmt.Errorf("rendition %s: %s gave %d×%d, planned was %d×%d",
				t.r.Name, t.r.Operations[i].Op(), width(m), height(m), to.Width, to.Height)
		}
		if i == first {
			if m, err = t.settle(m); err != nil {
				return nil, err
			}
			if t.continued {
				t.middle[t.step.Rendition] = t.scope.adopt(m)
			}
		}
	}
	return t.settle(m)
}

// settle computes the pixels and lets go of all that led to them.
func (t *task) settle(m ref) (ref, error) {
	m, err := t.own.memory(m)
	if err != nil {
		return nil, damaged(t.src.format, err)
	}
	t.own.keep(m)
	return m, nil
}

// begin gives the picture that the operations from at on are carried out on.
func (t *task) begin() (m ref, at int, err error) {
	if t.step.From != plan.Original {
		return t.own.adopt(t.middle[t.step.From]), plan.FirstResize(t.r), nil
	}
	d := decoding{shrink: t.shrink, upright: !t.r.KeepOrientation && t.src.Orientation != 1}
	if !t.streams(d) {
		m, err = t.base(d)
		if err != nil {
			return nil, 0, err
		}
		return t.own.adopt(m), 0, nil
	}
	if m, err = t.own.decode(t.src, loading{shrink: d.shrink, stream: true}); err != nil {
		return nil, 0, err
	}
	if alpha(m) { // most pictures do not make use of it, which only their pixels tell
		if m, err = t.base(d); err == nil {
			m = t.own.adopt(m)
		}
	}
	return m, 0, err
}

// streams reports whether the rows of the original can go through the first
// resize as they are decoded, without the whole being in memory: nobody else
// needs it, and all that stands before is crops.
func (t *task) streams(d decoding) bool {
	if !t.alone || d.upright || t.src.format == sniff.BMP {
		return false
	}
	for _, op := range t.r.Operations[:max(plan.FirstResize(t.r), 0)] {
		if _, ok := op.(pipeline.Crop); !ok {
			return false
		}
	}
	return plan.FirstResize(t.r) >= 0
}

// canvas is a picture that stands for one of w×h pixels. Before the first
// resize of a rendition it may have been decoded smaller than that.
type canvas struct {
	*scope
	m    ref
	w, h int
}

// part cuts out a part that is given in the pixels that the canvas stands for.
func (c *canvas) part(x, y, w, h int) (ref, error) {
	left, wide := within(x, w, c.w, width(c.m))
	top, high := within(y, h, c.h, height(c.m))
	return c.crop(c.m, left, top, wide, high)
}

// within brings a stretch of a side of whole pixels to one of real pixels.
func within(at, n, whole, real int) (int, int) {
	if whole == real {
		return at, n
	}
	f := float64(real) / float64(whole)
	n = min(max(int(math.Round(float64(n)*f)), 1), real)
	return min(int(math.Round(float64(at)*f)), real-n), n
}
