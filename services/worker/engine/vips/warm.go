//go:build vips

package vips

/*
#include "wrap.h"
*/
import "C"

import "sync"

// avif says what the codecs beneath libvips can do.
type avif struct{ reads, writes bool }

// warm has the codecs for AVIF loaded, for two reasons. They are plugins of
// libheif, which the system may lack although libvips knows the format. And they
// are looked for on the disk at the first use, which is too late in a sandbox.
// A libheif that cannot be asked (before 1.13) is tried instead, which takes some
// megabytes for the encoder.
var warm = sync.OnceValue(func() avif {
	if !known("heifsave_buffer") || !known("heifload") {
		return avif{}
	}
	lacks := C.mill_ask_avif()
	if lacks < 0 {
		_ = onThread(func() error {
			lacks = C.mill_try_avif()
			return nil
		})
		return avif{reads: lacks == 0, writes: lacks != 1}
	}
	return avif{reads: lacks < 2, writes: lacks == 0 || lacks == 2}
})
