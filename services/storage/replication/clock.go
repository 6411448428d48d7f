package replication

import (
	"sync"
	"time"
)

// clock gives stamps: nanoseconds since 1970 that rise with every one, and that
// are above every stamp this node has seen. What a node puts or deletes knowing
// of another change therefore wins over that, whatever the machines' clocks say;
// a clock that is behind those of others goes on from theirs.
type clock struct {
	wall func() time.Time

	mu     sync.Mutex
	last   int64
	offset int64 // what this machine's clock is behind the fastest one seen
}

// next gives a new stamp.
func (c *clock) next() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(c.last+1, c.wall().UnixNano()+c.offset)
	return c.last
}

// now is about the stamp that next would give.
func (c *clock) now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(c.last, c.wall().UnixNano()+c.offset)
}

// observe takes note of another node's stamp, or of one of a time before, and tells
// whether it is above all that were known.
func (c *clock) observe(stamp int64) (higher bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	higher = stamp > c.last
	c.last = max(c.last, stamp)
	c.offset = max(c.offset, stamp-c.wall().UnixNano())
	return higher
}
