package imagemaster

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
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
	require.Equal(t, all, turns(&tr), "it was away, and others may not have found it yet")
	later := func() { tr.doubted.Add(-doubtful.Nanoseconds()) }
	later()
	require.Equal(t, []int{5, 10}, turns(&tr))
	tr.doubt()
	require.Equal(t, all, turns(&tr), "a task came without an event")
	later()
	require.Equal(t, []int{5, 10}, turns(&tr), "that was long ago")

	silent := trust{bus: events.NewMemory()}
	require.Equal(t, all, turns(&silent), "a bus that cannot tell")
}

// The first task may be queued before taskdb has found the bus.
func TestTrustIsEarned(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Poll = 10 * time.Millisecond
	cfg.Serve.Listen = "127.0.0.1:0"
	bus := &line{Bus: events.NewMemory(), up: true}
	s, err := New(cfg, Deps{
		Log: slog.New(slog.DiscardHandler), Instance: "m1", Blobs: storage.NewMem(), Events: bus,
		Tasks: taskdb.NewMemory(taskdb.DefaultConfig(), taskdb.MemoryDeps{}),
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	require.Eventually(t, func() bool { return s.trust.doubted.Load() > time.Now().UnixNano() }, time.Minute, time.Millisecond)
	stop()
	require.NoError(t, <-ended)
}
