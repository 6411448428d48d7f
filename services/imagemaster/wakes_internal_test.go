package imagemaster

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// woken takes a waiter's wake-up, if it has one.
func woken(x *waiter) bool {
	select {
	case <-x.ready:
		return true
	default:
		return false
	}
}

func TestOneQueuedTaskWakesTheLongestWaiting(t *testing.T) {
	w := newWakes()
	w.event(events.Event{Kind: events.Queued}) // nobody waits; nothing is kept
	a, b := w.queueUp(taskdb.Claim{}), w.queueUp(taskdb.Claim{})
	require.False(t, woken(a))
	w.event(events.Event{Kind: events.Queued})
	require.True(t, woken(a))
	require.False(t, woken(b))
	w.event(events.Event{Kind: events.Queued})
	require.False(t, woken(a), "it has had its turn")
	require.True(t, woken(b))
	a.stop()
	b.stop()
	require.Zero(t, w.queue.Len())
}

func TestAnUnusedWakeUpGoesToTheNext(t *testing.T) {
	w := newWakes()
	a, b, c := w.queueUp(taskdb.Claim{}), w.queueUp(taskdb.Claim{}), w.queueUp(taskdb.Claim{})
	w.event(events.Event{Kind: events.Queued})
	b.stop()
	a.stop()
	require.False(t, woken(b))
	require.True(t, woken(c))
	c.stop()
	c.stop() // a second stop does nothing
	require.Zero(t, w.queue.Len())
}

// Work that only some can do does not wake the others in their stead.
func TestWorkWakesWhoCanDoIt(t *testing.T) {
	w := newWakes()
	plain, rich := taskdb.Claim{Can: 0b01, Others: []uint64{0b11}}, taskdb.Claim{Can: 0b11, Others: []uint64{0b101}}
	a, b, c := w.queueUp(plain), w.queueUp(plain), w.queueUp(rich)
	w.event(events.Event{Kind: events.Queued, Needs: 0b10})
	require.False(t, woken(a))
	require.True(t, woken(c))
	c.stop()
	c = w.queueUp(rich)
	w.event(events.Event{Kind: events.Queued, Needs: 0b01})
	require.True(t, woken(a))
	a.stop()
	w.next() // it is not known for what
	require.True(t, woken(b))
	require.True(t, woken(c))
	b.stop()
	c.stop()
	require.Zero(t, w.queue.Len())
}

func TestAnEndWakesAllWhoWatchThatTask(t *testing.T) {
	w := newWakes()
	a, b, other := w.watch("1"), w.watch("1"), w.watch("2")
	w.event(events.Event{Kind: events.Progress, TaskID: "1"})
	w.event(events.Event{Kind: events.Queued, TaskID: "1"})
	require.False(t, woken(a))
	w.event(events.Event{Kind: events.Ended, TaskID: "1"})
	w.event(events.Event{Kind: events.Ended, TaskID: "1"}) // a double one never blocks
	require.True(t, woken(a))
	require.True(t, woken(b))
	require.False(t, woken(a))
	require.False(t, woken(other))
	for _, x := range []*waiter{a, b, other} {
		x.stop()
	}
	require.Empty(t, w.byTask)
}

func TestLostAttempts(t *testing.T) {
	for _, tc := range []struct {
		state         taskdb.State
		task, attempt int
		lost          bool
	}{
		{taskdb.NotStarted, 0, 1, false}, // claimed since the task was read
		{taskdb.NotStarted, 2, 1, true},
		{taskdb.NotStarted, 2, 2, true}, // released or failed; its next is 3
		{taskdb.NotStarted, 2, 3, false},
		{taskdb.InProgress, 2, 1, true},
		{taskdb.InProgress, 2, 2, false}, // at work now
		{taskdb.InProgress, 2, 3, false},
		{taskdb.Finished, 2, 1, true},
		{taskdb.Finished, 2, 2, false}, // the winner
		{taskdb.Finished, 2, 3, true},
		{taskdb.Failed, 2, 1, true},
		{taskdb.Failed, 2, 2, true},
		{taskdb.Failed, 2, 3, false}, // tried again since the task was read
		{taskdb.Cancelled, 2, 2, true},
		{taskdb.Cancelled, 2, 3, false},
		{"unheard of", 2, 1, false},
	} {
		task := taskdb.Task{State: tc.state, Attempt: tc.task}
		if tc.state == taskdb.Finished {
			task.Result = &taskdb.Result{Attempt: tc.task}
		}
		require.Equal(t, tc.lost, lost(task, tc.attempt), "%+v", tc)
	}
}

func TestRenditionKeys(t *testing.T) {
	const id = "01890a5d-ac96-774b-bcce-b302099a8057"
	got, attempt, ok := parseRenditionKey(RenditionRef(id, 12, "a.b").Key)
	require.True(t, ok)
	require.Equal(t, id, got)
	require.Equal(t, 12, attempt)
	for _, key := range []string{"", id, id + ".1", id + ".1.", id + ".x.a", "x.1.a", "01890A5D-AC96-774B-BCCE-B302099A8057.1.a"} {
		_, _, ok := parseRenditionKey(key)
		require.False(t, ok, key)
	}
}

func TestKeysFromATime(t *testing.T) {
	at := time.UnixMilli(0x01890a5dac96)
	require.Equal(t, "01890a5d-ac96", keyFrom(at))
	require.Less(t, keyFrom(at), "01890a5d-ac96-774b-bcce-b302099a8057")
	require.Greater(t, keyFrom(at.Add(time.Millisecond)), "01890a5d-ac96-774b-bcce-b302099a8057")
	require.Empty(t, keyFrom(time.Time{}))
}

// unread is a store whose tasks may be recorded and not read.
type unread struct {
	taskdb.Store
	t *testing.T
}

func (u unread) Get(context.Context, string) (taskdb.Task, error) {
	u.t.Error("taskdb was read")
	return taskdb.Task{}, nil
}

func TestAnOwnTaskIsWaitedForWithoutAReading(t *testing.T) {
	bus := events.NewMemory()
	cfg := DefaultConfig()
	cfg.Poll = time.Minute
	store := taskdb.NewMemory(taskdb.DefaultConfig(), taskdb.MemoryDeps{Events: bus})
	s, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler), Instance: "m1", Tasks: unread{store, t}, Blobs: storage.NewMem(), Events: bus})
	require.NoError(t, err)
	defer bus.Subscribe(s.wakes.event)()
	acc, err := s.NewImage(t.Context(), Upload{
		Body: strings.NewReader("original"), Size: 8, ContentType: "image/png",
		Pipeline: []byte(`{"renditions":[{"name":"main","operations":[]}]}`),
	})
	require.NoError(t, err)
	statuses := make(chan Status, 1)
	go func() {
		if st, err := s.IsReady(t.Context(), acc.ID, time.Hour); err == nil {
			statuses <- st
		}
	}()
	require.Eventually(t, func() bool {
		s.wakes.mu.Lock()
		defer s.wakes.mu.Unlock()
		return len(s.wakes.byTask) == 1
	}, time.Minute, time.Millisecond)
	_, err = store.Cancel(t.Context(), acc.ID)
	require.NoError(t, err)
	select {
	case st := <-statuses:
		require.Equal(t, StateCancelled, st.State)
	case <-time.After(time.Minute):
		t.Fatal("the end was not heard")
	}
	require.NotContains(t, s.wakes.fresh, acc.ID, "it has ended")
}

func TestFreshTasksAreBounded(t *testing.T) {
	w := newWakes()
	for i := range maxFresh + 1 {
		w.begin(string(rune(i)))
	}
	require.LessOrEqual(t, len(w.fresh), maxFresh)
	w.begin("x")
	w.forget("x")
	require.NotContains(t, w.fresh, "x")
}

func TestWhatAnEventSaysIsCheckedBeforeItIsBelieved(t *testing.T) {
	for _, useless := range []string{"", "no json", `{"state":"inProgress"}`, `{"state":"notStarted"}`} {
		_, ok := outcome(json.RawMessage(useless))
		require.False(t, ok, useless)
	}
	st, ok := outcome(json.RawMessage(`{"id":"1","state":"failed","failures":[{"reason":"no picture"}]}`))
	require.True(t, ok)
	require.Equal(t, "no picture", st.Error)
}

func TestWholeSweepsComeInRows(t *testing.T) {
	var w wholeSweeps
	now := time.Now()
	for _, step := range []struct {
		after time.Duration
		whole bool
	}{{0, true}, {time.Second, true}, {time.Minute, true}, {time.Second, false}, {time.Hour, false}, {24 * time.Hour, true}, {2 * time.Minute, true}, {0, false}} {
		now = now.Add(step.after)
		require.Equal(t, step.whole, w.due(now, time.Minute), step)
	}
}

func TestWholeSweepsThatFailedComeAgainSoon(t *testing.T) {
	var w wholeSweeps
	now := time.Now()
	for _, step := range []struct {
		after         time.Duration
		whole, failed bool
	}{
		{0, true, true}, {time.Minute, true, false}, {time.Minute, false, false},
		{time.Hour, true, false}, {time.Minute, true, true}, {2 * time.Hour, true, false}, {time.Minute, true, false},
		{time.Hour, false, false}, {24 * time.Hour, true, false},
	} {
		now = now.Add(step.after)
		require.Equal(t, step.whole, w.due(now, time.Minute), step)
		w.failed = w.failed || step.failed
	}
}
