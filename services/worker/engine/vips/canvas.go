//go:build vips

package vips

/*
#include "wrap.h"
*/
import "C"

import (
	"image"
	"math"

	"imagemill/pkg/pipeline"
)

// canvas is a picture that stands for one of w×h pixels. Before the first
// resize of a rendition it may have been decoded smaller than that.
type canvas struct {
	*task
	*scope
	m     ref
	w, h  int
	op    int // the place of the operation in its rendition
	focus *focus
}

// part cuts out a part that is given in the pixels that the canvas stands for.
func (c *canvas) part(a area) (ref, error) {
	left, wide := within(a.x, a.w, c.w, width(c.m))
	top, high := within(a.y, a.h, c.h, height(c.m))
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

// held moves a part to the place that a gravity means which is no fixed one.
func (c *canvas) held(g pipeline.Gravity, a area) (area, error) {
	switch {
	case g == pipeline.Focus:
		a.x, a.y = c.focus.hold(a.w, a.h, c.w, c.h)
		return a, nil
	case !chosen(g):
		return a, nil
	}
	if before, ok := c.choices[c.op]; ok {
		return before, nil
	}
	m, err := c.memory(c.m)
	if err != nil {
		return a, err
	}
	c.m = m
	_, wide := within(0, a.w, c.w, width(m))
	_, high := within(0, a.h, c.h, height(m))
	var x, y C.int
	if C.mill_smartcrop(m, C.int(wide), C.int(high), flag(g == pipeline.Entropy), &x, &y) != 0 {
		return a, lastError()
	}
	a.x, _ = within(int(x), wide, width(m), c.w)
	a.y, _ = within(int(y), high, height(m), c.h)
	a.x, a.y = min(a.x, c.w-a.w), min(a.y, c.h-a.h)
	c.choices[c.op] = a
	return a, nil
}

// nrgba gives the picture with alpha as one of the standard library, a copy
// that may be drawn on, and what f drew as a picture again.
func (c *canvas) nrgba(f func(m *image.NRGBA) error) (ref, error) {
	m, err := c.addAlpha(c.m)
	if err != nil {
		return nil, err
	}
	var drawn error
	m, err = c.edit(m, func(pixels []byte) {
		drawn = f(&image.NRGBA{Pix: pixels, Stride: 4 * width(m), Rect: image.Rect(0, 0, width(m), height(m))})
	})
	if drawn != nil {
		return nil, drawn
	}
	if err != nil {
		return nil, err
	}
	return c.withoutIdleAlpha(m)
}

// colours changes each pixel by itself; its bytes are red, green, blue and
// perhaps alpha.
func (c *canvas) colours(f func(pixel []byte)) (ref, error) {
	n := bands(c.m)
	return c.edit(c.m, func(pixels []byte) {
		for i := 0; i+n <= len(pixels); i += n {
			f(pixels[i : i+n : i+n])
		}
	})
}
