package process

import (
	"os"
	"sync"
	"time"
)

// lookTime is how often a child at work is looked at. Most pictures are done
// before the first look.
const lookTime = 200 * time.Millisecond

// watch looks at a child while it works: at the clock, at its memory, at its
// folder. One timer serves the child's whole life; while it idles nothing runs.
type watch struct {
	mu    sync.Mutex
	timer *time.Timer
	until time.Time // zero while it idles
	statm *os.File
}

// begin starts to watch c, which has so long for its picture.
func (w *watch) begin(c *child, wall time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = time.Now().Add(wall)
	if next := min(wall, lookTime); w.timer == nil {
		w.timer = time.AfterFunc(next, func() { w.look(c) })
	} else {
		w.timer.Reset(next)
	}
}

// end stops watching.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = time.Time{}
	w.timer.Stop() // a look that is under way sees until
}

// look kills c, or looks again later.
func (w *watch) look(c *child) {
	w.mu.Lock()
	defer w.mu.Unlock()
	left := time.Until(w.until)
	switch {
	case w.until.IsZero():
	case left <= 0:
		c.kill(tooLate)
	case c.cfg.MemoryBytes > 0 && w.resident(c) > c.cfg.MemoryBytes:
		c.kill(tooMuchMemory)
	case c.cfg.ScratchBytes > 0 && weight(c.dir) > c.cfg.ScratchBytes:
		c.kill(tooMuchDisk)
	default:
		w.timer.Reset(min(left, lookTime))
	}
}

// fat reports whether c, which idles, holds so much that it is to be replaced.
func (w *watch) fat(c *child) bool {
	return c.cfg.RecycleBytes > 0 && w.holds(c) > c.cfg.RecycleBytes
}

// holds is how many bytes c has in memory, 0 if that is not known.
func (w *watch) holds(c *child) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.resident(c)
}

// close lets go of what the looks have opened.
func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = time.Time{}
	if w.timer != nil {
		w.timer.Stop()
	}
	if w.statm != nil {
		_ = w.statm.Close() // it was only read
		w.statm = nil
	}
}
