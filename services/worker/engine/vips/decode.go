//go:build vips

package vips

/*
#include <stdlib.h>
#include "wrap.h"
*/
import "C"

import (
	"unsafe"

	"imagemill/internal/fault"
	"imagemill/internal/sniff"
)

// base gives the decoded original in memory for everyone who wants it so.
func (o *Original) base(d decoding) (ref, error) {
	if m, ok := o.decoded[d]; ok {
		return m, nil
	}
	if d.upright && o.src.Orientation != 1 {
		stored, err := o.base(decoding{shrink: d.shrink})
		if err != nil {
			return nil, err
		}
		m, err := o.scope.orient(stored, o.src.Orientation)
		if err == nil {
			m, err = o.scope.memory(m)
		}
		o.decoded[d] = m
		return m, err
	}
	var s scope
	defer s.close()
	m, err := s.decode(o.src, loading{shrink: d.shrink, stream: true})
	if err == nil {
		m, err = s.memory(m)
	}
	if err == nil {
		m, err = s.withoutIdleAlpha(m)
	}
	if err != nil {
		return nil, damaged(o.src.format, err)
	}
	o.decoded[d] = o.scope.adopt(m)
	return m, nil
}

// decode opens the pixels of an original as sRGB of 8 bits, three bands or four.
func (s *scope) decode(src *source, how loading) (ref, error) {
	if src.format == sniff.BMP {
		return s.bitmap(src.path)
	}
	m, err := s.load(src.path, src.format, how)
	if err != nil {
		return nil, damaged(src.format, err)
	}
	if m, err = s.normal(m); err != nil {
		return nil, damaged(src.format, err)
	}
	return m, nil
}

// normal brings any picture to sRGB of 8 bits.
func (s *scope) normal(m ref) (ref, error) {
	profile := blob(m, iccField)
	cmyk := m.Type == C.VIPS_INTERPRETATION_CMYK
	if cmyk || profile != nil && profileOf(profile) != profileSRGB {
		from := ""
		if cmyk {
			from = "cmyk" // for a picture without a profile
		}
		if converted, err := s.icc(m, "srgb", profile != nil, from); err == nil {
			m = converted
		} else if cmyk {
			return nil, err
		}
	}
	var err error
	if m.Type != C.VIPS_INTERPRETATION_sRGB || m.BandFmt != C.VIPS_FORMAT_UCHAR {
		if m, err = s.make(func(out *ref) C.int { return C.im_srgb(m, out) }); err != nil {
			return nil, err
		}
		if m, err = s.bytes(m); err != nil {
			return nil, err
		}
	}
	switch n := bands(m); {
	case n > 4:
		return s.bandsOf(m, 0, 4)
	case n < 3:
		return nil, fault.Newf(fault.Unsupported, "the picture has %d channels; that cannot be read here", n)
	}
	return m, nil
}

// icc converts by profiles: the picture's own if it has one, else from.
func (s *scope) icc(m ref, to string, embedded bool, from string) (ref, error) {
	target := C.CString(to)
	defer C.free(unsafe.Pointer(target))
	var source *C.char
	if from != "" {
		source = C.CString(from)
		defer C.free(unsafe.Pointer(source))
	}
	return s.make(func(out *ref) C.int { return C.im_icc(m, out, target, flag(embedded), source) })
}

// withoutIdleAlpha drops a transparency that no pixel of a picture in memory
// makes use of; everything is faster without it.
func (s *scope) withoutIdleAlpha(m ref) (ref, error) {
	if !alpha(m) || !opaque(m) {
		return m, nil
	}
	m, err := s.bandsOf(m, 0, bands(m)-1)
	if err != nil {
		return nil, err
	}
	return s.memory(m)
}

// opaque reports whether no pixel of a picture in memory is transparent.
func opaque(m ref) bool {
	if !alpha(m) {
		return true
	}
	pixels, n := view(m), bands(m)
	for i := n - 1; i < len(pixels); i += n {
		if pixels[i] != 255 {
			return false
		}
	}
	return true
}

// orient sets a picture upright that is stored by an EXIF orientation.
func (s *scope) orient(m ref, orientation int) (ref, error) {
	quarters := [9]int{3: 2, 5: 1, 6: 1, 7: 3, 8: 3}[orientation]
	mirrored := orientation == 2 || orientation == 5 || orientation == 7
	var err error
	if quarters != 0 {
		if m, err = s.turn(m, quarters); err != nil {
			return nil, err
		}
	}
	switch {
	case mirrored:
		return s.flip(m, false)
	case orientation == 4:
		return s.flip(m, true)
	}
	return m, nil
}
