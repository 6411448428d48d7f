//go:build vips

package vips

/*
#include "wrap.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"image"
	"unsafe"

	"imagemill/internal/fault"
	"imagemill/services/worker/engine/ssim"
)

// search finds the quality that a rendition asks for: the smallest that looks
// like the picture to the asked degree, then the largest at which the file fits.
func (t *task) search(m ref, o C.mill_save_options) (encoded, error) {
	var err error
	if t.r.TargetSSIM != 0 {
		if o.quality, err = t.likeness(m, o); err != nil {
			return nil, err
		}
	}
	body, err := t.at(m, o, o.quality)
	if err != nil || t.r.MaxBytes == 0 || int64(len(body)) <= t.r.MaxBytes {
		return body, err
	}
	body.free()
	var best encoded
	for low, high := C.int(1), o.quality-1; low <= high; {
		middle := (low + high) / 2
		body, err := t.at(m, o, middle)
		if err != nil {
			best.free()
			return nil, err
		}
		if int64(len(body)) <= t.r.MaxBytes {
			best.free()
			best, low = body, middle+1
			continue
		}
		body.free()
		high = middle - 1
	}
	if best == nil {
		return nil, fault.Newf(fault.Unprocessable, "the result does not fit into the %d bytes of maxBytes at any quality", t.r.MaxBytes).
			WithField(fmt.Sprintf("renditions[%d].maxBytes", t.step.Rendition))
	}
	return best, nil
}

// at encodes in one quality.
func (t *task) at(m ref, o C.mill_save_options, quality C.int) (encoded, error) {
	if err := expired(t.ctx); err != nil {
		return nil, err
	}
	o.quality = quality
	body, err := encode(m, o)
	if err != nil {
		return nil, fmt.Errorf("encode rendition %s: %w", t.r.Name, err)
	}
	return body, nil
}

// likeness is the smallest quality that reaches the asked similarity, or 100.
func (t *task) likeness(m ref, o C.mill_save_options) (C.int, error) {
	m, err := t.own.memory(m)
	if err != nil {
		return 0, fmt.Errorf("compare rendition %s: %w", t.r.Name, err)
	}
	want := grayOf(m)
	low, high := C.int(1), C.int(100)
	for low < high {
		middle := (low + high) / 2
		body, err := t.at(m, o, middle)
		if err != nil {
			return 0, err
		}
		alike, err := similar(want, body, o)
		body.free()
		if err != nil {
			return 0, fmt.Errorf("compare rendition %s: %w", t.r.Name, err)
		}
		if alike >= t.r.TargetSSIM {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low, nil
}

// similar compares a finished file with the lightness that it should show.
func similar(want *image.Gray, body encoded, o C.mill_save_options) (float64, error) {
	var s scope
	defer s.close()
	m, err := s.make(func(out *ref) C.int {
		return C.mill_load_buffer(o.format, unsafe.Pointer(unsafe.SliceData(body)), C.size_t(len(body)), out)
	})
	if err == nil {
		m, err = s.make(func(out *ref) C.int { return C.mill_srgb(m, out) })
	}
	if err == nil {
		m, err = s.bytes(m)
	}
	if err == nil {
		m, err = s.memory(m)
	}
	if err != nil {
		return 0, err
	}
	got := grayOf(m)
	if got.Rect != want.Rect { // of an animation, the first frame is looked at
		if got.Rect.Dx() != want.Rect.Dx() || got.Rect.Dy() > want.Rect.Dy() {
			return 0, errors.New("the file holds a picture of another size")
		}
		want = want.SubImage(got.Rect).(*image.Gray) // a part of a Gray is one
	}
	return ssim.Gray(want, got)
}

// grayOf is the lightness of a picture in memory, over white.
func grayOf(m ref) *image.Gray {
	out := image.NewGray(image.Rect(0, 0, width(m), height(m)))
	pixels, n := view(m), bands(m)
	for i := range out.Pix {
		p := pixels[i*n : i*n+n]
		v := uint32(luma(p))
		if n == 4 {
			v = (v*uint32(p[3]) + 255*(255-uint32(p[3]))) / 255
		}
		out.Pix[i] = byte(v)
	}
	return out
}
