//go:build vips

package vips

/*
#include "wrap.h"
*/
import "C"

import "sync"

// avif says what the codecs beneath libvips can do.
type avif struct{ reads, writes bool }

// warm tries AVIF once, for two reasons. Its codecs are plugins of libheif, which
// the system may lack although libvips knows the format. And they are looked for
// on the disk at the first use, which is too late in a sandbox.
var warm = sync.OnceValue(func() avif {
	if !known("heifsave_buffer") || !known("heifload") {
		return avif{}
	}
	failed := C.int(1)
	_ = onThread(func() error {
		failed = C.mill_try_avif()
		return nil
	})
	return avif{reads: failed == 0, writes: failed != 1}
})
