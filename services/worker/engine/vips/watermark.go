//go:build vips

package vips

import (
	"fmt"
	"image"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine/draw"
)

// watermark lays another picture over this one.
func (c *canvas) watermark(o pipeline.Watermark) (ref, error) {
	m, err := c.mark(o.Asset())
	if err != nil {
		return nil, err
	}
	w, h := draw.Scaled(o, c.w, width(m), height(m))
	if int64(w)*int64(h) > c.limits.OutputPixels {
		return nil, fault.Newf(fault.TooLarge, "the watermark would be %d×%d pixels; at most %d pixels are allowed", w, h, c.limits.OutputPixels)
	}
	if m, err = c.scale(m, w, h); err != nil {
		return nil, err
	}
	if m, err = c.addAlpha(m); err != nil {
		return nil, err
	}
	if m, err = c.memory(m); err != nil {
		return nil, err
	}
	mark := &image.NRGBA{Pix: view(m), Stride: 4 * w, Rect: image.Rect(0, 0, w, h)}
	layer, at := draw.Layer(o, mark, c.w, c.h)
	return c.nrgba(func(m *image.NRGBA) error { draw.Over(m, layer, at); return nil })
}

// mark gives a watermark's picture upright, decoded once for the job.
func (o *Original) mark(a pipeline.Asset) (ref, error) {
	if m, ok := o.marks[a]; ok {
		return m, nil
	}
	if _, ok := o.job.Assets[a.Key()]; !ok {
		return nil, fault.Newf(fault.Unprocessable, "the watermark %s is not there", a.Key())
	}
	m, err := o.decodeMark(a.Key())
	if err != nil {
		e := fault.As(err)
		return nil, fault.Wrap(e.Kind, "the watermark cannot be used: "+e.Public, fmt.Errorf("decode watermark %s: %w", a.Key(), err))
	}
	o.marks[a] = m
	return m, nil
}

func (o *Original) decodeMark(key string) (ref, error) {
	file, done, err := o.job.Asset(key)
	src, err := open(file, done, err, reading{limits: o.limits, can: o.can})
	if err != nil {
		return nil, err
	}
	defer src.close()
	var s scope
	defer s.close()
	m, err := s.decode(src, decoding{})
	if err == nil {
		m, err = s.memory(m)
	}
	if err == nil {
		m, err = s.orient(m, src.Orientation)
	}
	if err == nil {
		m, err = s.memory(m)
	}
	if err != nil {
		return nil, damaged(src.format, err)
	}
	return o.scope.adopt(m), nil
}
