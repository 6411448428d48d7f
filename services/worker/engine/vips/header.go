//go:build vips

package vips

/*
#include <stdlib.h>
#include "wrap.h"
*/
import "C"

import "unsafe"

// number reads a whole number of a picture's header.
func number(m ref, name string, fallback int) int {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	return int(C.mill_header_int(m, c, C.int(fallback)))
}

// blob gives a field of a picture's header that is bytes, such as its colour
// profile; nil when there is none.
func blob(m ref, name string) []byte {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	var size C.size_t
	data := C.mill_blob(m, c, &size)
	if data == nil || size > maxBlob {
		return nil
	}
	return C.GoBytes(data, C.int(size))
}

// maxBlob is the longest field of a header that is looked at, in bytes.
const maxBlob = 16 << 20
