//go:build vips

package vips

/*
#cgo pkg-config: vips gmodule-no-export-2.0
#cgo LDFLAGS: -lm
#include "wrap.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
)

// The oldest libvips that can be told to leave untrusted loaders alone.
const oldestMajor, oldestMinor = 8, 13

// start starts libvips, once for the process: untrusted operations off, one
// thread for each picture, and nothing cached.
var start = sync.OnceValue(func() error {
	if err := acceptable(int(C.vips_version(0)), int(C.vips_version(1)), int(C.vips_version(2))); err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if C.mill_start() != 0 {
		return fmt.Errorf("start libvips: %w", lastError())
	}
	return nil
})

// acceptable refuses a libvips that is too old.
func acceptable(major, minor, micro int) error {
	if major > oldestMajor || major == oldestMajor && minor >= oldestMinor {
		return nil
	}
	return fmt.Errorf("libvips %d.%d.%d is too old: %d.%d or newer is needed, because older ones cannot switch off the loaders that are unsafe",
		major, minor, micro, oldestMajor, oldestMinor)
}

// Version is that of the libvips that was loaded, "8.16.1".
func Version() string {
	return fmt.Sprintf("%d.%d.%d", int(C.vips_version(0)), int(C.vips_version(1)), int(C.vips_version(2)))
}

// maxSaid is how much of what libvips says is kept, in bytes: the end of it.
const maxSaid = 1000

// lastError takes what libvips said about its last failure out of its buffer,
// after what it and its libraries had warned of before.
func lastError() error {
	warned, text := C.mill_said(), C.vips_error_buffer_copy()
	defer C.g_free(C.gpointer(warned))
	defer C.g_free(C.gpointer(text))
	said := strings.TrimSpace(C.GoString(warned) + C.GoString(text))
	if said == "" {
		said = "libvips gave no reason"
	}
	return errors.New(strings.ToValidUTF8(said[max(len(said)-maxSaid, 0):], "?"))
}

// onThread runs f on one thread of the system, whose caches in libvips are
// freed at the end: Go's threads come and go.
func onThread(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer C.vips_thread_shutdown()
	C.mill_forget()
	return f()
}

// allocations is the number of blocks that libvips holds now, for tests.
func allocations() int { return int(C.vips_tracked_get_allocs()) }
