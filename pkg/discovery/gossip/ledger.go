package gossip

import (
	"context"
	"sync"
)

// maxLedger bounds the members that are remembered; there are never as many.
const maxLedger = 4096

// ledger is which settings other members are known to have.
type ledger struct {
	mu   sync.Mutex
	has  map[string]version
	news chan struct{} // closed when something may have changed
}

func newLedger() *ledger { return &ledger{has: map[string]version{}, news: make(chan struct{})} }

// note says that a member has a version.
func (l *ledger) note(member string, v version) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.has) >= maxLedger {
		clear(l.has)
	}
	if v.compare(l.has[member]) > 0 {
		l.has[member] = v
		l.wakeLocked()
	}
}

// wake has those who wait look again.
func (l *ledger) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakeLocked()
}

func (l *ledger) wakeLocked() {
	close(l.news)
	l.news = make(chan struct{})
}

// await waits until all the members have the version, until over says that there
// is no need to, or until ctx is done, and counts those that have. A member that
// has a later one does not count, but is told of: nobody can say whether that was
// made on top of this one before it has come here.
func (l *ledger) await(ctx context.Context, v version, members []string, over func() bool) (have int, beaten bool) {
	for {
		l.mu.Lock()
		have, beaten = 0, false
		for _, m := range members {
			switch c := v.compare(l.has[m]); {
			case c == 0:
				have++
			case c < 0:
				beaten = true
			}
		}
		news := l.news
		l.mu.Unlock()
		if have == len(members) || over() {
			return have, beaten
		}
		select {
		case <-news:
		case <-ctx.Done():
			return have, beaten
		}
	}
}
