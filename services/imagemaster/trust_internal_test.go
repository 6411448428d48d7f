package imagemaster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
)

// line is a bus that is connected, or not.
type line struct {
	events.Bus
	up bool
}

func (l *line) Connected() bool { return l.up }

func TestCallersPollSeldomWhileTheyAreTold(t *testing.T) {
	bus := &line{Bus: events.NewMemory(), up: true}
	tr := trust{bus: bus}
	// turns are those at which a wait of ten turns polls.
	turns := func(tr *trust) (n []int) {
		for turn := 1; turn <= 10; turn++ {
			if tr.due(turn) {
				n = append(n, turn)
			}
		}
		return n
	}
	all := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	require.Equal(t, []int{5, 10}, turns(&tr))
	bus.up = false
	require.Equal(t, all, turns(&tr), "the bus is away")
	bus.up = true
	require.Equal(t, []int{5, 10}, turns(&tr))
	tr.untold()
	require.Equal(t, all, turns(&tr), "a task came without an event")
	tr.lost.Store(time.Now().Add(-time.Second).UnixNano())
	require.Equal(t, []int{5, 10}, turns(&tr), "that was long ago")

	silent := trust{bus: events.NewMemory()}
	require.Equal(t, all, turns(&silent), "a bus that cannot tell")
}
