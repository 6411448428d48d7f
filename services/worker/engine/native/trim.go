//go:build vips

package native

/*
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
static void bound_heaps(void) {
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 16 << 20);
}
static void trim(size_t idle) {
  if (mallinfo2().fordblks > idle) malloc_trim(0);
}
#else
static void bound_heaps(void) {}
static void trim(size_t idle) { (void)idle; }
#endif
*/
import "C"

import "time"

const (
	// idleMemory is how much of what C has freed may stay in the process, in bytes.
	idleMemory = 32 << 20
	// trimTime is the time from which a picture may have left much behind; to look
	// costs nothing beside it.
	trimTime = 50 * time.Millisecond
)

// boundHeaps keeps the C library from a heap of its own for every thread, and from
// keeping up to 64 MiB at the end of each: left alone, it learns from the large
// blocks of one picture to give none back, and malloc_trim leaves the ends of heaps
// as they are. Up to 16 MiB, which is more than the fast path needs, stay at hand.
func boundHeaps() { C.bound_heaps() }

// trim gives back to the system what the C library keeps after a large picture: after
// a few hundred of them, several times what any one needs. What Go keeps,
// engine/process gives back.
func trim(took time.Duration) {
	if took >= trimTime {
		C.trim(idleMemory)
	}
}

// Idle does so whatever there is; engine/process calls it when there is nothing to do.
func (e *Engine) Idle() { C.trim(0) }
