// Package comeback says when somebody who was refused for want of room should
// come again: when those before him are through, at the rate at which that goes.
//
// It promises an answer from [Least] to [Most], apart for those who ask at the
// same time: each one is counted among those before the next, so that they do
// not all come back together, and up to a tenth is added by chance. It keeps no
// goroutine and no list.
package comeback

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// Least is the shortest answer.
	Least = time.Second
	// Most is the longest one.
	Most = 5 * time.Minute
	// Unknown is the answer, before chance, while no rate is known.
	Unknown = Least
	// Stuck is the answer, before chance, where it is known that nobody gets through.
	Stuck = time.Minute
	// window is how far back the rate looks, roughly.
	window = 20 * time.Second
)

// Line is one line of those who wait. The zero value is ready; it is safe for
// concurrent use.
type Line struct {
	mu sync.Mutex
	// since is when what is known of the rate began, last when it was looked at.
	since, last time.Time
	through     float64 // that got through within the window, those long ago for less
	refused     float64 // that were told to come back, and have not had their time yet
}

// Through notes that n got through, up to now.
func (l *Line) Through(n int, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() || now.Sub(l.last) > window {
		// What it was long ago says nothing, nor these, of whom nobody knows since when.
		l.since, l.last, l.through, l.refused = now, now, 0, 0
		return
	}
	l.age(now)
	l.through += float64(max(n, 0))
}

// age lets what was noted before count for less.
func (l *Line) age(now time.Time) {
	past := now.Sub(l.last)
	if past <= 0 {
		return
	}
	rate, _ := l.rate(now)
	l.refused = max(0, l.refused-rate*past.Seconds())
	l.through *= math.Exp(-past.Seconds() / window.Seconds())
	l.last = now
}

// rate is how many get through in a second.
func (l *Line) rate(now time.Time) (_ float64, known bool) {
	span := now.Sub(l.since)
	if l.since.IsZero() || span < 100*time.Millisecond {
		return 0, false
	}
	return l.through / (window.Seconds() * (1 - math.Exp(-span.Seconds()/window.Seconds()))), true
}

// Wait is when somebody before whom there are ahead should come again.
func (l *Line) Wait(ahead int64, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.age(now)
	d := Unknown
	switch rate, known := l.rate(now); {
	case rate > 0:
		l.refused++
		d = time.Duration(min((float64(max(ahead, 0))+l.refused)/rate, Most.Seconds()) * float64(time.Second))
	case known:
		d = Stuck
	}
	d += time.Duration(rand.Int64N(int64(d)/10 + 1))
	return min(max(d, Least), Most)
}
