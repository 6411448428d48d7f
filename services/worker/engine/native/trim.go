//go:build vips

package native

/*
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
static void few_arenas(void) { mallopt(M_ARENA_MAX, 2); }
static void trim(size_t idle) {
  if (mallinfo2().fordblks > idle) malloc_trim(0);
}
#else
static void few_arenas(void) {}
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

// fewArenas keeps the C library from a heap of its own for every thread, of which
// each keeps some ten megabytes: Go's threads and those of libvips are many, but only
// one or two work at a time.
func fewArenas() { C.few_arenas() }

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
