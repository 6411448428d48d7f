//go:build vips

package vips

/*
#include "wrap.h"
*/
import "C"

import (
	"slices"
	"unsafe"
)

// ref is one picture of libvips, which is computed when somebody needs its
// pixels. It lives as long as the scope that made it.
type ref = *C.VipsImage

// scope owns references to pictures and drops each exactly once.
type scope struct{ owned []ref }

// make calls f, which gives a new picture, and owns that.
func (s *scope) make(f func(out *ref) C.int) (ref, error) {
	var out ref
	if f(&out) != 0 {
		return nil, lastError()
	}
	s.owned = append(s.owned, out)
	return out, nil
}

// adopt owns one more reference to a picture of another scope.
func (s *scope) adopt(m ref) ref {
	C.g_object_ref(C.gpointer(unsafe.Pointer(m)))
	s.owned = append(s.owned, m)
	return m
}

// keep drops everything but m, which is one of the scope's own.
func (s *scope) keep(m ref) {
	C.g_object_ref(C.gpointer(unsafe.Pointer(m)))
	s.close()
	s.owned = append(s.owned, m)
}

// close drops everything. The scope may be used again.
func (s *scope) close() {
	for _, m := range slices.Backward(s.owned) {
		C.g_object_unref(C.gpointer(unsafe.Pointer(m)))
	}
	s.owned = s.owned[:0]
}

func width(m ref) int  { return int(m.Xsize) }
func height(m ref) int { return int(m.Ysize) }
func bands(m ref) int  { return int(m.Bands) }

// alpha reports whether the last band of a picture is its transparency.
func alpha(m ref) bool { return bands(m) == 2 || bands(m) == 4 }

// memory computes a picture's pixels now and keeps them.
func (s *scope) memory(m ref) (ref, error) {
	return s.make(func(out *ref) C.int { return C.mill_memory(m, out) })
}

// view gives the pixels of a picture that memory or fromPixels made. They may
// be changed only while nobody else has the picture, and go with the scope.
func view(m ref) []byte {
	return unsafe.Slice((*byte)(C.mill_pixels(m)), width(m)*height(m)*bands(m))
}

// fromPixels copies rows of bytes into a picture.
func (s *scope) fromPixels(pixels []byte, w, h, n int) (ref, error) {
	return s.make(func(out *ref) C.int {
		return C.mill_from_memory(unsafe.Pointer(unsafe.SliceData(pixels)), C.size_t(len(pixels)), C.int(w), C.int(h), C.int(n), out)
	})
}

// edit gives f a copy of the pixels to change where they are.
func (s *scope) edit(m ref, f func(pixels []byte)) (ref, error) {
	m, err := s.memory(m)
	if err != nil {
		return nil, err
	}
	copied, err := s.fromPixels(view(m), width(m), height(m), bands(m))
	if err != nil {
		return nil, err
	}
	f(view(copied))
	return copied, nil
}
