//go:build vips

package vips

/*
#include "wrap.h"
*/
import "C"

import (
	"unsafe"

	"imagemill/pkg/pipeline"
)

// What follows are the calls of wrap.c as methods that own their results.

func (s *scope) crop(m ref, x, y, w, h int) (ref, error) {
	if x == 0 && y == 0 && w == width(m) && h == height(m) {
		return m, nil
	}
	return s.make(func(out *ref) C.int { return C.mill_crop(m, out, C.int(x), C.int(y), C.int(w), C.int(h)) })
}

func (s *scope) flip(m ref, vertical bool) (ref, error) {
	return s.make(func(out *ref) C.int { return C.mill_flip(m, out, flag(vertical)) })
}

// turn rotates clockwise by quarters.
func (s *scope) turn(m ref, quarters int) (ref, error) {
	return s.make(func(out *ref) C.int { return C.mill_turn(m, out, C.int(quarters)) })
}

func (s *scope) bandsOf(m ref, first, n int) (ref, error) {
	return s.make(func(out *ref) C.int { return C.mill_bands(m, out, C.int(first), C.int(n)) })
}

func (s *scope) addAlpha(m ref) (ref, error) {
	if alpha(m) {
		return m, nil
	}
	return s.make(func(out *ref) C.int { return C.mill_add_alpha(m, out) })
}

// bytes rounds to whole numbers of 0 to 255.
func (s *scope) bytes(m ref) (ref, error) {
	return s.make(func(out *ref) C.int { return C.mill_uchar(m, out) })
}

// flatten lays a picture over an opaque colour.
func (s *scope) flatten(m ref, under pipeline.Color) (ref, error) {
	if !alpha(m) {
		return m, nil
	}
	colour := floats(under)
	return s.make(func(out *ref) C.int { return C.mill_flatten(m, out, &colour[0]) })
}

// lut sends every colour through a table, and leaves alpha alone.
func (s *scope) lut(m ref, table *[256]byte) (ref, error) {
	n := bands(m)
	all := make([]byte, 256*n)
	for i := range 256 {
		for b := range n {
			all[i*n+b] = table[i]
		}
		if alpha(m) {
			all[i*n+n-1] = byte(i)
		}
	}
	return s.make(func(out *ref) C.int { return C.mill_lut(m, out, (*C.uchar)(unsafe.SliceData(all)), C.int(n)) })
}

// embed puts a picture onto a canvas of one colour, whose alpha counts when
// the picture has one.
func (s *scope) embed(m ref, x, y, w, h int, background pipeline.Color) (ref, error) {
	colour := floats(background)
	return s.make(func(out *ref) C.int {
		return C.mill_embed(m, out, C.int(x), C.int(y), C.int(w), C.int(h), &colour[0], C.int(bands(m)))
	})
}

// over lays one picture over another; both have alpha.
func (s *scope) over(under, top ref, x, y int) (ref, error) {
	m, err := s.make(func(out *ref) C.int { return C.mill_over(under, top, out, C.int(x), C.int(y)) })
	if err != nil {
		return nil, err
	}
	return s.bytes(m)
}

// floats gives a colour's channels as libvips takes them.
func floats(c pipeline.Color) [4]C.double {
	r, g, b, a := c.NRGBA()
	return [4]C.double{C.double(r), C.double(g), C.double(b), C.double(a)}
}

func flag(v bool) C.int {
	if v {
		return 1
	}
	return 0
}

// mixed runs f, which mixes neighbouring pixels, on colours that are weighed by
// their alpha, and gives bytes again.
func (s *scope) mixed(m ref, f func(m ref) (ref, error)) (ref, error) {
	if !alpha(m) {
		m, err := f(m)
		if err != nil {
			return nil, err
		}
		return s.bytes(m)
	}
	weighed, err := s.make(func(out *ref) C.int { return C.mill_premultiply(m, out) })
	if err != nil {
		return nil, err
	}
	if weighed, err = f(weighed); err != nil {
		return nil, err
	}
	if m, err = s.make(func(out *ref) C.int { return C.mill_unpremultiply(weighed, out) }); err != nil {
		return nil, err
	}
	return s.bytes(m)
}
