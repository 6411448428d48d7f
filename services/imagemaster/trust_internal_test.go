package imagemaster

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/ability"
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

// counted counts the claims that reach it.
type counted struct {
	*taskdb.Memory
	claims int
}

func (c *counted) Claim(ctx context.Context, claim taskdb.Claim) ([]taskdb.Task, error) {
	c.claims++
	return c.Memory.Claim(ctx, claim)
}

// Of callers who come by while nothing waits, one looks.
func TestAClaimThatWouldFindNothingIsSpared(t *testing.T) {
	tasks := &counted{Memory: taskdb.NewMemory(taskdb.DefaultConfig(), taskdb.MemoryDeps{})}
	bus := &line{Bus: events.NewMemory(), up: true}
	cfg := DefaultConfig()
	cfg.Poll = time.Minute
	s, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler), Instance: "m1", Blobs: storage.NewMem(), Events: bus, Tasks: tasks})
	require.NoError(t, err)
	anything, some := WorkRequest{Worker: "w", Max: 1}, WorkRequest{Worker: "v", Max: 1, Can: 1, Others: []ability.Set{3}}
	asked := 0 // how often the tasks are to have been asked so far
	ask := func(r WorkRequest, looks int, why string) []Work {
		t.Helper()
		work, err := s.GetWork(t.Context(), r)
		require.NoError(t, err)
		asked += looks
		require.Equal(t, asked, tasks.claims, why)
		return work
	}
	ask(some, 1, "the first of all")
	ask(anything, 1, "the one before might have left something to others")
	ask(anything, 0, "nothing can have come")
	ask(some, 0, "nor for this one")
	s.wakes.event(events.Event{Kind: events.Queued})
	ask(anything, 1, "something was queued")
	ask(anything, 0, "and somebody else had it")
	s.wakes.event(events.Event{Kind: events.Ended})
	s.wakes.event(events.Event{Kind: events.Queued, InMillis: time.Hour.Milliseconds()})
	ask(anything, 0, "an end and a schedule bring no work yet")
	bus.up = false
	ask(anything, 1, "the bus is away")
	bus.up = true
	ask(anything, 0, "it is back")
	s.trust.doubt()
	ask(anything, 1, "the bus is doubted")
	s.trust.doubted.Store(0)
	s.wakes.empty.at = s.wakes.empty.at.Add(-trusting * time.Minute)
	ask(anything, 1, "the last look was long ago")

	// Of work that nobody told of, the poll finds out.
	_, err = tasks.Create(t.Context(), taskdb.NewTask{
		ID: "0192f0c1-2345-7000-8000-000000000001", Pipeline: []byte(`{"renditions":[{"name":"main","format":"png"}]}`),
		Original: taskdb.Blob{Key: "k", Size: 1, SHA256: strings.Repeat("0f", 32), ContentType: "image/png"},
	})
	require.NoError(t, err)
	ask(anything, 0, "nobody told")
	waiting := anything
	waiting.Wait = time.Minute
	got := make(chan []Work, 1)
	go func() {
		work, err := s.GetWork(t.Context(), waiting)
		if err == nil {
			got <- work
		}
	}()
	require.Eventually(t, func() bool {
		s.wakes.mu.Lock()
		defer s.wakes.mu.Unlock()
		return s.wakes.queue.Len() == 1
	}, time.Minute, time.Millisecond)
	s.wakes.poll()
	select {
	case work := <-got:
		require.Len(t, work, 1)
	case <-time.After(time.Minute):
		t.Fatal("the poll did not look")
	}
	require.False(t, s.trust.full(), "a task came without an event")
}

// An event that comes while a claim is under way may be of a task that it missed.
func TestWhatIsToldDuringALookCounts(t *testing.T) {
	w := newWakes()
	told := w.heard()
	w.event(events.Event{Kind: events.Queued})
	w.found(told, time.Now())
	require.False(t, w.idle(time.Time{}))
	w.found(w.heard(), time.Now())
	require.True(t, w.idle(time.Time{}))
}
