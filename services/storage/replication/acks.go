package replication

import (
	"context"
	"sync"
)

// acks is how far other stores have copied this one, by their identities.
type acks struct {
	mu      sync.Mutex
	at      map[string]int64 // all lines below this number are durable there
	changed chan struct{}
}

func newAcks() *acks { return &acks{at: map[string]int64{}, changed: make(chan struct{})} }

// set notes an acknowledgement. It may be lower than an earlier one, of a store
// that lost its state.
func (a *acks) set(epoch string, next int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.at[epoch] != next {
		a.at[epoch] = next
		close(a.changed)
		a.changed = make(chan struct{})
	}
}

// wait returns once so many stores have copied the line seq, or ctx is done, and
// gives how many have.
func (a *acks) wait(ctx context.Context, seq int64, stores int) int {
	for {
		a.mu.Lock()
		n := 0
		for _, next := range a.at {
			if next > seq {
				n++
			}
		}
		changed := a.changed
		a.mu.Unlock()
		if n >= stores {
			return n
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return n
		}
	}
}
