package taskdbtest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

// walkTasks is how many tasks a walk plays with; few, so that they often meet.
const walkTasks = 8

func walkCases() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"walk/as the model does": func(t *testing.T, f *fixture) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 1))
			heard := &Heard{}
			w := &walk{
				fixture: f, r: r, heard2: heard,
				model: taskdb.NewMemory(f.cfg, taskdb.MemoryDeps{Events: heard, Now: f.clock.Now}),
			}
			steps := 800
			if testing.Short() {
				steps = 300
			}
			for range steps {
				w.step()
			}
		},
	}
}

// walk takes the same random steps on a store and on the model.
type walk struct {
	*fixture
	r      *rand.Rand
	model  *taskdb.Memory
	heard2 *Heard
}

// step does one call on both, and compares the answers, the events, the tasks,
// and each move with the table of moves.
func (w *walk) step() {
	w.clock.Advance(time.Duration(w.r.IntN(4000)) * time.Millisecond)
	before := w.states()
	call := w.pick()
	got, gotErr := call(w.Store)
	want, wantErr := call(w.model)
	require.Equal(w, fault.KindOf(wantErr), fault.KindOf(gotErr), "%v, %v", wantErr, gotErr)
	if wantErr != nil {
		require.Equal(w, fault.As(wantErr).State, fault.As(gotErr).State)
	} else {
		require.Equal(w, want, got)
	}
	require.ElementsMatch(w, w.heard2.Take(), w.heard.Take())
	for id, to := range w.states() {
		if from, ok := before[id]; ok && from != to {
			require.True(w, taskdb.CanMove(from, to), "%s to %s", from, to)
		}
	}
	gotStats, err := w.Store.Stats(w.Context())
	require.NoError(w, err)
	wantStats, err := w.model.Stats(w.Context())
	require.NoError(w, err)
	require.Equal(w, wantStats, gotStats)
}

// states reads all tasks from both, compares them and gives their states.
func (w *walk) states() map[string]taskdb.State {
	all := map[string]taskdb.State{}
	for _, s := range taskdb.States() {
		got, err := w.Store.List(w.Context(), s, "", 0)
		require.NoError(w, err)
		want, err := w.model.List(w.Context(), s, "", 0)
		require.NoError(w, err)
		require.Equal(w, want, got)
		for _, t := range got.Tasks {
			all[t.ID] = s
		}
	}
	return all
}

// pick chooses a call: often a sensible one, at times a stale one.
func (w *walk) pick() func(taskdb.Store) (any, error) {
	n := w.r.IntN(walkTasks)
	id, attempt := ID(n), 1+w.r.IntN(3)
	if t, err := w.model.Get(w.Context(), id); err == nil && w.r.IntN(4) > 0 {
		attempt = t.Attempt
	}
	ctx, lease := w.Context(), taskdb.Lease{ID: id, Attempt: attempt}
	fl := failing(attempt, w.r.IntN(3) > 0)
	fl.Died = w.r.IntN(3) == 0
	most, progress := 1+w.r.IntN(3), float64(w.r.IntN(5))/4
	switch w.r.IntN(16) {
	case 0, 1:
		task := New(n) // some of each lane and of three owners, and some for later
		task.Lane, task.Owner = []taskdb.Lane{taskdb.Interactive, taskdb.Batch}[n%2], []string{"", "a", "b"}[n%3]
		if w.r.IntN(3) == 0 {
			task.DelayMillis = int64(w.r.IntN(20_000))
		}
		if n%2 == 0 { // some repeat each other's uploads
			task.IdempotencyKey = "key"
		}
		if n == 5 {
			task.KeepMillis = 60_000
		}
		return func(s taskdb.Store) (any, error) { return s.Create(ctx, task) }
	case 2, 3, 4:
		return func(s taskdb.Store) (any, error) { return s.Claim(ctx, taskdb.Claim{Worker: "w", Max: most}) }
	case 5:
		return func(s taskdb.Store) (any, error) { return s.Renew(ctx, lease, progress) }
	case 6:
		if w.r.IntN(4) > 0 { // finished tasks are out of the game
			return func(s taskdb.Store) (any, error) { return s.Get(ctx, id) }
		}
		return func(s taskdb.Store) (any, error) { return s.Finish(ctx, id, result(attempt)) }
	case 7, 8:
		return func(s taskdb.Store) (any, error) { return s.Fail(ctx, id, fl) }
	case 9:
		return func(s taskdb.Store) (any, error) { return nil, s.Release(ctx, lease) }
	case 10:
		return func(s taskdb.Store) (any, error) { return s.Cancel(ctx, id) }
	case 11:
		owner, after, limit := []string{"", "a", "b"}[w.r.IntN(3)], []string{"", id}[w.r.IntN(2)], 1+w.r.IntN(3)
		return func(s taskdb.Store) (any, error) { return s.RetryFailed(ctx, owner, after, limit) }
	case 12:
		return func(s taskdb.Store) (any, error) { return s.Retry(ctx, id) }
	case 13:
		r := taskdb.Retention{FinishedMillis: 20_000, FailedMillis: 30_000}
		return func(s taskdb.Store) (any, error) { return s.Purge(ctx, r) }
	case 14:
		return func(s taskdb.Store) (any, error) { return s.Delete(ctx, id) }
	default:
		return func(s taskdb.Store) (any, error) { return s.Expire(ctx) }
	}
}
