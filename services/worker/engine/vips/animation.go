//go:build vips

package vips

/*
#include "wrap.h"
*/
import "C"

import (
	"unsafe"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
)

// animates reports whether a format can hold an animation.
func animates(f pipeline.Format) bool { return f == pipeline.GIF || f == pipeline.WebP }

// animation carries out the operations on each frame, and lays the results one
// below the other, which is how libvips holds an animation.
func (t *task) animation(sizes pipeline.Plan) (m ref, frames int, err error) {
	n := t.src.Frames
	whole := int64(n) * max(int64(t.src.Width)*int64(t.src.Height), sizes.Result().Pixels())
	if whole > t.limits.InputPixels {
		return nil, 0, fault.Newf(fault.TooLarge, "the animation has %d pixels in all its frames; at most %d are allowed", whole, t.limits.InputPixels)
	}
	tall, err := t.base(t.wants)
	if err != nil {
		return nil, 0, err
	}
	// A damaged file may be counted otherwise by libvips than by its header.
	if width(tall) != t.src.Width || height(tall) != n*t.src.Height {
		return nil, 0, fault.Newf(fault.Unprocessable, "the %s is damaged (its frames are not of one size)", t.src.format.Name())
	}
	high := height(tall) / n
	done := make([]ref, n)
	for i := range done {
		frame, err := t.own.crop(tall, 0, i*high, width(tall), high)
		if err != nil {
			return nil, 0, err
		}
		if t.wants.upright {
			if frame, err = t.own.orient(frame, t.src.Orientation); err != nil {
				return nil, 0, err
			}
		}
		if frame, err = t.operations(frame, 0, append(pipeline.Plan(nil), sizes...)); err != nil {
			return nil, 0, err
		}
		if done[i], err = t.own.addAlpha(frame); err != nil {
			return nil, 0, err
		}
	}
	m, err = t.own.make(func(out *ref) C.int { return C.mill_join((**C.VipsImage)(unsafe.Pointer(&done[0])), C.int(n), out) })
	if err != nil {
		return nil, 0, err
	}
	m, err = t.settle(m)
	return m, n, err
}
