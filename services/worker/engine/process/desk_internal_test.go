package process

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A call that is given the child which was started for it needs no other.
func TestACallThatIsServedNeedsNoOtherChild(t *testing.T) {
	for range 20_000 {
		d := newDesk()
		d.living, d.coming = 1, 1
		c := &child{exited: make(chan struct{}), free: make(chan struct{})}
		turn := make(chan *child, 1)
		d.waiting = append(d.waiting, turn)
		var both sync.WaitGroup
		both.Go(func() { d.enter(c) })
		wanted := false
		for range 100 {
			wanted = wanted || d.wants(4)
		}
		both.Wait()
		require.False(t, wanted)
		require.Same(t, c, <-turn)
	}
}
