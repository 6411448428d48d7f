//go:build vips

package vips

/*
#include "wrap.h"
*/
import "C"

import (
	"image"
	"math"

	lib "github.com/disintegration/imaging"

	"imagemill/pkg/pipeline"
)

// scale brings a picture to an exact size.
func (s *scope) scale(m ref, w, h int) (ref, error) {
	if width(m) == w && height(m) == h {
		return m, nil
	}
	if w > width(m) || h > height(m) {
		return s.enlarge(m, w, h)
	}
	return s.mixed(m, func(m ref) (ref, error) {
		return s.make(func(out *ref) C.int {
			return C.mill_resize(m, out, C.double(w)/C.double(width(m)), C.double(h)/C.double(height(m)))
		})
	})
}

// enlarge scales up at least one side by Lanczos, in Go: libvips has that filter
// only for making smaller. Width goes first, except where that would make
// something larger than both ends.
func (s *scope) enlarge(m ref, w, h int) (ref, error) {
	opaque := !alpha(m)
	m, err := s.addAlpha(m)
	if err == nil {
		m, err = s.memory(m)
	}
	if err != nil {
		return nil, err
	}
	fromW, fromH := width(m), height(m)
	pixels := &image.NRGBA{Pix: view(m), Stride: 4 * fromW, Rect: image.Rect(0, 0, fromW, fromH)}
	if int64(w)*int64(fromH) > max(int64(fromW)*int64(fromH), int64(w)*int64(h)) {
		pixels = lib.Resize(pixels, fromW, h, lib.Lanczos)
	}
	pixels = lib.Resize(pixels, w, h, lib.Lanczos)
	if m, err = s.fromPixels(pixels.Pix, w, h, 4); err != nil || !opaque {
		return m, err
	}
	return s.bandsOf(m, 0, 3)
}

// place lays a picture over a canvas of w×h in one colour, which shows through
// where the picture is transparent.
func (c *canvas) place(m ref, w, h, x, y int, background pipeline.Color) (ref, error) {
	_, _, _, a := background.NRGBA()
	var err error
	if a == 255 {
		if m, err = c.flatten(m, background); err != nil {
			return nil, err
		}
		return c.embed(m, x, y, w, h, background)
	}
	if a == 0 || !alpha(m) {
		if m, err = c.addAlpha(m); err != nil {
			return nil, err
		}
		return c.embed(m, x, y, w, h, background)
	}
	sheet := make([]byte, 4*w*h)
	r, g, b, a := background.NRGBA()
	for i := 0; i < len(sheet); i += 4 {
		sheet[i], sheet[i+1], sheet[i+2], sheet[i+3] = r, g, b, a
	}
	under, err := c.fromPixels(sheet, w, h, 4)
	if err != nil {
		return nil, err
	}
	return c.over(under, m, x, y)
}

func (c *canvas) mirror(o pipeline.Flip) (ref, error) {
	switch {
	case o.Horizontal && o.Vertical:
		return c.turn(c.m, 2)
	case o.Horizontal:
		return c.flip(c.m, false)
	}
	return c.flip(c.m, true)
}

func (c *canvas) rotate(o pipeline.Rotate) (ref, error) {
	angle := math.Mod(o.Angle+720, 360)
	if quarters := angle / 90; quarters == math.Trunc(quarters) {
		if quarters == 0 {
			return c.m, nil
		}
		return c.turn(c.m, int(quarters))
	}
	plan, err := pipeline.Rendition{Operations: []pipeline.Operation{o}}.Plan(c.w, c.h, 1)
	if err != nil {
		return nil, err
	}
	end := plan.Result()
	m := c.m
	colour := floats(o.Background)
	if colour[3] != 255 {
		if m, err = c.addAlpha(m); err != nil {
			return nil, err
		}
	}
	for i := range 3 { // as mixed weighs the picture's
		if alpha(m) {
			colour[i] *= colour[3] / 255
		}
	}
	return c.mixed(m, func(m ref) (ref, error) {
		return c.make(func(out *ref) C.int {
			return C.mill_affine(m, out, C.double(angle), C.int(end.Width), C.int(end.Height), &colour[0], C.int(bands(m)))
		})
	})
}

func (c *canvas) soft(m ref, sigma float64) (ref, error) {
	return c.mixed(m, func(m ref) (ref, error) {
		return c.make(func(out *ref) C.int { return C.mill_blur(m, out, C.double(sigma)) })
	})
}

func (c *canvas) sharpen(sigma float64) (ref, error) {
	m, err := c.memory(c.m) // it is read twice
	if err != nil {
		return nil, err
	}
	soft, err := c.soft(m, sigma)
	if err != nil {
		return nil, err
	}
	return c.make(func(out *ref) C.int { return C.mill_unsharp(m, soft, out) })
}
