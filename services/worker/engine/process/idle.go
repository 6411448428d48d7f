package process

import (
	"runtime/debug"
	"time"

	"imagemill/services/worker/engine"
)

// idleTime is how long a child has had nothing to do when it gives memory back. One
// that goes from picture to picture keeps what the next will need.
const idleTime = 200 * time.Millisecond

// idler is what an engine may implement beside Render: to give back to the system
// what it keeps for the next picture. It is called when there has been none for a
// while, and may meet one that begins.
type idler interface{ Idle() }

// idleTimer is set behind each picture and stopped by the next.
func idleTimer(e engine.Engine) *time.Timer {
	t := time.AfterFunc(time.Hour, func() {
		if i, ok := e.(idler); ok {
			i.Idle()
		}
		debug.FreeOSMemory() // left alone, the collector runs with the next picture only
	})
	t.Stop()
	return t
}
