//go:build vips

package vips

/*
#include <stdlib.h>
#include "wrap.h"
*/
import "C"

import (
	"os"
	"runtime"
	"unsafe"

	"imagemill/internal/sniff"
)

// loaders are the formats that libvips decodes here. BMP is not among them:
// only ImageMagick could, and that is never used. A class names the one operation
// that is let loose where a format is switched on whose loaders libvips calls
// untrusted; all others of its kind stay blocked.
var loaders = map[sniff.Format]struct {
	code             C.int
	operation, class string
}{
	sniff.JPEG: {C.IM_JPEG, "jpegload_source", ""},
	sniff.PNG:  {C.IM_PNG, "pngload_source", ""},
	sniff.WebP: {C.IM_WEBP, "webpload_source", ""},
	sniff.GIF:  {C.IM_GIF, "gifload_source", ""},
	sniff.TIFF: {C.IM_TIFF, "tiffload_source", ""},
	sniff.AVIF: {C.IM_HEIF, "heifload_source", ""},
	sniff.HEIC: {C.IM_HEIF, "heifload_source", ""},
	sniff.JXL:  {C.IM_JXL, "jxlload_source", "VipsForeignLoadJxlSource"},
	sniff.SVG:  {C.IM_SVG, "svgload_source", "VipsForeignLoadSvgSource"},
	sniff.PDF:  {C.IM_PDF, "pdfload_source", "VipsForeignLoadPdfSource"},
}

// loading says how a file is to be decoded.
type loading struct {
	shrink      int     // 1, 2, 4 or 8; JPEG and WebP
	scale       float64 // of a drawing: how many times its own size, 0 for once
	page, pages int     // which, and how many of them; -1 for all
	// stream decodes rows as they are asked for, once and from top to bottom.
	stream bool
}

// load reads the header of an open file with the one loader of its format. The
// file stays the caller's, and must not be read otherwise until all pixels that
// are wanted have been computed.
func (s *scope) load(file *os.File, format sniff.Format, how loading) (ref, error) {
	loader := loaders[format].code
	shrink, pages := max(how.shrink, 1), how.pages
	if pages == 0 {
		pages = 1
	}
	scale := how.scale
	if scale == 0 {
		scale = 1 / float64(shrink)
	}
	m, err := s.make(func(out *ref) C.int {
		return C.mill_load(loader, C.int(file.Fd()), C.int(shrink), C.double(scale), C.int(how.page), C.int(pages), flag(how.stream), out)
	})
	runtime.KeepAlive(file)
	return m, err
}

// known reports whether the libvips that was loaded has an operation, and may
// use it.
func known(operation string) bool {
	name := C.CString(operation)
	defer C.free(unsafe.Pointer(name))
	return C.mill_known(name) != 0
}
