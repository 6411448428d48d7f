package kvstore

import (
	"sync"
	"time"
)

// repeatEvery is how often the same trouble is logged at most.
const repeatEvery = time.Minute

// maxKinds bounds what occasional remembers.
const maxKinds = 256

// occasional says of each kind of message whether it is time for it again, so
// that whoever causes it cannot fill the log. Safe for concurrent use.
type occasional struct {
	now func() time.Time

	mu   sync.Mutex
	last map[string]*lastTold
}

type lastTold struct {
	at     time.Time
	missed int
}

func newOccasional(now func() time.Time) *occasional {
	return &occasional{now: now, last: map[string]*lastTold{}}
}

// allow reports whether a message of that kind may be logged now, and how many
// were left out since the last one.
func (o *occasional) allow(kind string) (ok bool, missed int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	l := o.last[kind]
	if l == nil && len(o.last) >= maxKinds {
		o.sweep(now)
		if len(o.last) >= maxKinds {
			return false, 0
		}
	}
	if l == nil {
		l = &lastTold{at: now.Add(-repeatEvery)}
		o.last[kind] = l
	}
	if now.Sub(l.at) < repeatEvery {
		l.missed++
		return false, 0
	}
	missed, l.missed, l.at = l.missed, 0, now
	return true, missed
}

// sweep forgets what has not been told for a while.
func (o *occasional) sweep(now time.Time) {
	for kind, l := range o.last {
		if now.Sub(l.at) >= repeatEvery {
			delete(o.last, kind)
		}
	}
}
