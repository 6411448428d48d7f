//go:build vips

package native

/*
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
static void trim(size_t idle) {
  if (mallinfo2().fordblks > idle) malloc_trim(0);
}
#else
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

// trim gives back to the system what C's library keeps of freed memory after a
// large picture: after a few hundred of them, several times what any one needs.
func trim(took time.Duration) {
	if took >= trimTime {
		C.trim(idleMemory)
	}
}
