//go:build vips

package vips

/*
#include <stdlib.h>
#include "wrap.h"
*/
import "C"

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unsafe"

	"imagemill/internal/fault"
	"imagemill/internal/sniff"
)

// draws reports whether originals of a format are drawings, which have a size of
// their own and are rendered in the one that is needed.
func draws(f sniff.Format) bool { return f == sniff.SVG || f == sniff.PDF }

// allow lets the loaders of formats loose that libvips calls untrusted, each by the
// name of its one class. It fails for a format that is not among those, and for one
// that the loaded libvips cannot read.
func allow(on []sniff.Format) error {
	if slices.Contains(on, sniff.PDF) {
		module := C.CString("vips-poppler") // a libvips may have it built in, or PDFium instead
		C.mill_more(module)
		C.free(unsafe.Pointer(module))
	}
	for _, f := range on {
		loader, ok := loaders[f]
		if !ok || loader.class == "" {
			return fmt.Errorf("%q is no format that can be switched on; svg, pdf and jxl are", f)
		}
		class := C.CString(loader.class)
		C.mill_allow(class)
		C.free(unsafe.Pointer(class))
		if !known(loader.operation) {
			return fmt.Errorf("libvips %s was built without what reads %s (%s); switch it off, or use a libvips that has it",
				Version(), f.Name(), loader.operation)
		}
	}
	return nil
}

// finely is how many times its own size a drawing is measured in, so that its sides
// are known in parts of a pixel.
const finely = 16

// measure asks the library how large a drawing is. Where a PDF says it may be
// anywhere in it, and packed: it is not known before. What an SVG says is known, and
// the library has to see it in the same shape; the pixels in which it counts depend
// on its version.
func (s *source) measure() error {
	return onThread(func() error {
		var scope scope
		defer scope.close()
		m, err := scope.load(s.file, s.format, loading{page: s.page, scale: finely})
		if err != nil {
			return s.unmeasured(err)
		}
		s.unit = [2]float64{float64(width(m)) / finely, float64(height(m)) / finely}
		if s.format == sniff.SVG {
			across, down := s.unit[0]/s.Drawn[0], s.unit[1]/s.Drawn[1]
			return s.alike(across*s.Drawn[1], down*s.Drawn[1])
		}
		s.Drawn = s.unit
		s.Width, s.Height = sniff.WholeSide(s.Drawn[0]), sniff.WholeSide(s.Drawn[1])
		s.Orientation, s.Frames, s.Bands, s.Depth = 1, 1, 4, 8
		return nil
	})
}

// alike refuses a drawing whose height the library sees otherwise than its beginning
// says, by more than rounding makes.
func (s *source) alike(said, seen float64) error {
	if math.Abs(said-seen) <= 1+max(said, seen)/50 {
		return nil
	}
	return fault.Newf(fault.Unprocessable, "the size of the %s is not clear: its beginning says %d×%d, and its picture has another shape",
		s.format.Name(), s.Width, s.Height)
}

// unmeasured is the failure of a drawing that cannot be opened, or has no such page.
func (s *source) unmeasured(err error) error {
	switch text := strings.ToLower(err.Error()); {
	case s.format != sniff.PDF:
	case strings.Contains(text, "encrypted"), strings.Contains(text, "password"):
		return fault.Wrap(fault.Unprocessable, "the PDF is encrypted; it cannot be read without its password", err)
	case strings.Contains(text, "out of range"):
		return fault.Wrap(fault.Unprocessable, fmt.Sprintf("the PDF has no page %d; the first one is frame 0", s.page), err).
			WithField("renditions[0].frame")
	}
	return damaged(s.format, err)
}

// draw opens the pixels of a drawing at a scale.
func (s *scope) draw(src *source, d decoding) (ref, error) {
	scale := d.scale
	if scale == 0 {
		scale = 1
	}
	m, err := s.load(src.file, src.format, loading{page: src.page, scale: scale * src.Drawn[0] / src.unit[0], stream: true})
	if err != nil {
		return nil, err
	}
	w, h := sniff.WholeSide(src.Drawn[0]*scale), sniff.WholeSide(src.Drawn[1]*scale)
	if most := 2 + float64(max(w, h))/50; math.Abs(float64(width(m)-w)) > most || math.Abs(float64(height(m)-h)) > most {
		return nil, fault.Newf(fault.Unprocessable, "the size of the %s is not clear: its beginning says %d×%d, its picture is %d×%d",
			src.format.Name(), w, h, width(m), height(m))
	}
	if m, err = s.normal(m, src.Profile, d.profile); err != nil || scale != 1 {
		return m, err
	}
	return s.scale(m, src.Width, src.Height) // at most a few pixels
}
