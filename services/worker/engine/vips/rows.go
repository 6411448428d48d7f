//go:build vips

package vips

/*
#include "wrap.h"
*/
import "C"

import (
	"context"
	"unsafe"

	"imagemill/pkg/pipeline"
)

// Rows decodes the original, which is not an animation, in sRGB from its top, and
// calls use with the next n rows of RGB: three bytes a pixel, stride bytes apart,
// most rows at a time and fewer at the end only. Nothing is called, and ok is false,
// when the original has another size than its header says or is not opaque. It is
// to be called from where Open has called, and may be called once.
func (o *Original) Rows(ctx context.Context, most int, use func(rgb unsafe.Pointer, stride, n int) error) (ok bool, err error) {
	var s scope
	defer s.close()
	m, err := s.decode(o.src, decoding{shrink: 1, profile: pipeline.SRGB})
	switch {
	case err != nil:
		return false, damaged(o.src.format, err)
	case bands(m) != 3 || width(m) != o.src.Width || height(m) != o.src.Height:
		return false, nil
	}
	region := C.vips_region_new(m)
	if region == nil {
		return false, lastError()
	}
	defer C.g_object_unref(C.gpointer(unsafe.Pointer(region)))
	for top := 0; top < height(m); top += most {
		if err := expired(ctx); err != nil {
			return false, err
		}
		n := min(most, height(m)-top)
		var stride C.size_t
		rgb := C.mill_rows(region, C.int(top), C.int(n), &stride)
		if rgb == nil {
			return false, damaged(o.src.format, lastError())
		}
		if err := use(rgb, int(stride), n); err != nil {
			return false, err
		}
	}
	return true, nil
}
