package process

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// idleMemory is how much of what Go holds may stay in a child that idles, in bytes.
	idleMemory = 32 << 20
	// idleTime is the time from which a picture may have left much behind; to look
	// costs nothing beside it.
	idleTime = 50 * time.Millisecond
)

// giveBack returns to the system what Go keeps after a large picture. Left alone, a
// child holds it until the next picture makes the collector run.
func giveBack(took time.Duration) {
	if took < idleTime {
		return
	}
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(heap)
	if heap[0].Value.Uint64()+heap[1].Value.Uint64() > idleMemory {
		debug.FreeOSMemory()
	}
}
