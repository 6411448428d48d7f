//go:build vips

package vips

/*
#include <stdlib.h>
#include "wrap.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// decoding is one way in which renditions want the original.
type decoding struct {
	shrink  int
	upright bool
	frame   int  // all of them, one below the other, when whole
	whole   bool // an animation is kept
	profile pipeline.Profile
	scale   float64 // of a drawing: how many times its own size it is rendered; 0 for others
}

// drawn is the decoding at a scale, 0 for pictures that have none.
func (d decoding) drawn(scale float64) decoding {
	d.scale = scale
	return d
}

// decodingOf is how a rendition wants the original. Only JPEG and WebP can be
// decoded smaller, and libvips leaves out what does not fill a whole pixel at
// the right and bottom, of which the plan allows little: small pictures are
// decoded whole.
func (o *Original) decodingOf(r pipeline.Rendition, shrink int) decoding {
	d := decoding{
		shrink: shrink, upright: !r.KeepOrientation && o.src.Orientation != 1, frame: r.Frame, profile: r.Profile,
		// What is animated in a PNG, no decoder here takes in: it is its first picture.
		whole: r.Animated && o.src.Frames > 1 && o.src.format != sniff.PNG && (r.Format == pipeline.Auto || animates(target(r.Format, o.src.Format, true))),
	}
	for d.shrink > 1 && min(o.src.Width, o.src.Height)/d.shrink < smallestShrunk {
		d.shrink /= 2
	}
	return d
}

// smallestShrunk is the shortest side of a picture that is decoded smaller.
const smallestShrunk = 100

// base gives the decoded original in memory for everyone who wants it so.
func (o *Original) base(d decoding) (ref, error) {
	if m, ok := o.decoded[d]; ok {
		return m, nil
	}
	var s scope
	defer s.close()
	m, err := o.fresh(&s, d)
	if err != nil {
		return nil, damaged(o.src.format, err)
	}
	o.decoded[d] = o.scope.adopt(m)
	return m, nil
}

// fresh makes what base gives.
func (o *Original) fresh(s *scope, d decoding) (ref, error) {
	if d.upright && !d.whole {
		stored := d
		stored.upright = false
		m, err := o.base(stored)
		if err != nil {
			return nil, err
		}
		if m, err = s.orient(m, o.src.Orientation); err != nil {
			return nil, err
		}
		return s.memory(m)
	}
	m, err := s.decode(o.src, d)
	if err != nil {
		return nil, err
	}
	if m, err = s.memory(m); err != nil {
		return nil, err
	}
	return s.withoutIdleAlpha(m)
}

// errFrame is at the bottom of the failure of a frame that the original lacks.
var errFrame = errors.New("no such frame")

// decode opens the pixels of an original as RGB of 8 bits, three bands or four.
// Rows are decoded as they are asked for, once and from top to bottom.
func (s *scope) decode(src *source, d decoding) (ref, error) {
	if _, ok := inGo[src.format]; ok && d.frame == 0 && !d.whole {
		return s.simple(src)
	}
	if draws(src.format) {
		return s.draw(src, d)
	}
	if src.Moving && (d.whole || d.frame > 0) {
		return nil, fault.New(fault.Unsupported, "of an animated JPEG XL only the first frame can be read here")
	}
	how := loading{shrink: d.shrink, page: d.frame, pages: 1, stream: true}
	if d.whole {
		how.pages = -1
	}
	m, err := s.load(src.file, src.format, how)
	switch {
	case err != nil && d.frame > 0:
		return nil, fault.Wrap(fault.Unprocessable, fmt.Sprintf("the picture has no frame %d", d.frame), errors.Join(errFrame, err))
	case err != nil:
		return nil, err
	}
	if err := src.believable(m, d); err != nil {
		return nil, err
	}
	return s.normal(m, src.Profile, d.profile)
}

// believable compares what libvips is about to decode with the header that the
// limits were held to.
func (s *source) believable(m ref, d decoding) error {
	w, h, frames := s.Width, s.Height, 1
	if d.frame > 0 {
		return s.limits.CheckInput(s.format.Name(), engine.Picture{Width: width(m), Height: height(m)})
	}
	if d.whole {
		frames = s.Frames
	}
	if d.shrink > 1 {
		w, h = w/d.shrink+1, h/d.shrink+1
	}
	if width(m) > w || int64(height(m)) > int64(h)*int64(frames) {
		return fault.Newf(fault.Unprocessable, "the %s is damaged (its header says %d×%d, its picture is %d×%d)",
			s.format.Name(), s.Width, s.Height, width(m), height(m))
	}
	return nil
}

// normal brings any picture to RGB of 8 bits in a colour space.
func (s *scope) normal(m ref, said string, to pipeline.Profile) (ref, error) {
	m, err := s.converted(m, said, to)
	if err != nil {
		return nil, err
	}
	if m.Type != C.VIPS_INTERPRETATION_sRGB || m.BandFmt != C.VIPS_FORMAT_UCHAR {
		if m, err = s.make(func(out *ref) C.int { return C.mill_srgb(m, out) }); err != nil {
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

// iccField is where libvips keeps a picture's colour profile.
const iccField = "icc-profile-data"

// converted brings a picture to a colour space by its profile, which its header
// says is one of the colour spaces that go by a name, or another one. A profile that
// cannot be used counts as none, which is sRGB.
func (s *scope) converted(m ref, is string, to pipeline.Profile) (ref, error) {
	profile := blob(m, iccField)
	if m.Type == C.VIPS_INTERPRETATION_CMYK {
		name := "srgb"
		if to == pipeline.P3 {
			name = "p3"
		}
		return s.icc(m, name, profile != nil, "cmyk")
	}
	var converted ref
	var err error
	switch {
	case to == pipeline.KeepProfile, to == pipeline.SRGB && (profile == nil || is == engine.ProfileSRGB), to == pipeline.P3 && is == engine.ProfileP3:
		return m, nil
	case to == pipeline.SRGB:
		converted, err = s.icc(m, "srgb", true, "")
	case profile == nil:
		if m, err = s.make(func(out *ref) C.int { return C.mill_srgb(m, out) }); err != nil {
			return nil, err
		}
		converted, err = s.icc(m, "p3", false, "srgb")
	default:
		converted, err = s.icc(m, "p3", true, "srgb")
	}
	if err != nil && to == pipeline.SRGB {
		return m, nil //nolint:nilerr // a broken profile is no reason to refuse a picture
	}
	return converted, err
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
	return s.make(func(out *ref) C.int { return C.mill_icc(m, out, target, flag(embedded), source) })
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
