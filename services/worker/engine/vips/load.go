//go:build vips

package vips

/*
#include <stdlib.h>
#include "wrap.h"
*/
import "C"

import (
	"unsafe"

	"imagemill/internal/sniff"
)

// loaders are the formats that libvips decodes here. BMP is not among them:
// only ImageMagick could, and that is never used.
var loaders = map[sniff.Format]struct {
	code      C.int
	operation string
}{
	sniff.JPEG: {C.IM_JPEG, "jpegload"},
	sniff.PNG:  {C.IM_PNG, "pngload"},
	sniff.WebP: {C.IM_WEBP, "webpload"},
	sniff.GIF:  {C.IM_GIF, "gifload"},
	sniff.TIFF: {C.IM_TIFF, "tiffload"},
	sniff.AVIF: {C.IM_HEIF, "heifload"},
	sniff.HEIC: {C.IM_HEIF, "heifload"},
	sniff.JXL:  {C.IM_JXL, "jxlload"},
}

// loading says how a file is to be decoded.
type loading struct {
	shrink      int // 1, 2, 4 or 8; JPEG and WebP
	page, pages int // which, and how many of them; -1 for all
	// stream decodes rows as they are asked for, once and from top to bottom.
	stream bool
}

// load opens a file with the one loader of its format and reads its header.
func (s *scope) load(path string, format sniff.Format, how loading) (ref, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	loader := loaders[format].code
	shrink, pages := max(how.shrink, 1), how.pages
	if pages == 0 {
		pages = 1
	}
	return s.make(func(out *ref) C.int {
		return C.im_load(loader, name, C.int(shrink), 1/C.double(shrink), C.int(how.page), C.int(pages), flag(how.stream), out)
	})
}

// known reports whether the libvips that was loaded has an operation, and may
// use it.
func known(operation string) bool {
	name := C.CString(operation)
	defer C.free(unsafe.Pointer(name))
	return C.im_known(name) != 0
}
