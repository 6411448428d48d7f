package taskdbtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

func twinCases() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"twins/at work and finished":    twins,
		"twins/of many the right ones":  manyTwins,
		"twins/what makes one":          likenesses,
		"twins/a malformed likeness":    wrongLikeness,
		"create/with a result":          createsFinished,
		"create/with a wrong result":    refusesResults,
		"release/with a pause":          releasesForLater,
		"release/with too long a pause": releasesForMuchLater,
		"twins/gone when they are deleted": func(t *testing.T, f *fixture) {
			f.twin(1)
			f.claim(1, 1)
			_, err := f.Delete(t.Context(), ID(1))
			require.NoError(t, err)
			f.requireTwins()
		},
	}
}

// twin makes the n-th task with Dedupe.
func (f *fixture) twin(n int, change ...func(*taskdb.NewTask)) taskdb.Task {
	f.Helper()
	t := New(n)
	t.Dedupe = true
	for _, c := range change {
		c(&t)
	}
	made, err := f.Create(f.Context(), t)
	require.NoError(f, err)
	return made
}

// requireTwins looks at the twins of New's tasks.
func (f *fixture) requireTwins(want ...int) {
	f.Helper()
	found, err := f.Twins(f.Context(), taskdb.LikenessOf(taskdb.Task{Pipeline: New(1).Pipeline, Original: New(1).Original}))
	require.NoError(f, err)
	got := []string{}
	for _, t := range found {
		got = append(got, t.ID)
		stored, err := f.Get(f.Context(), t.ID)
		require.NoError(f, err)
		require.Equal(f, stored, t)
		require.True(f, t.Dedupe)
	}
	ids := []string{}
	for _, n := range want {
		ids = append(ids, ID(n))
	}
	require.Equal(f, ids, got)
}

func twins(t *testing.T, f *fixture) {
	f.requireTwins()
	f.create(1) // the same, but nobody asked
	f.twin(2)
	f.requireTwins() // it waits
	f.claim(2, 2)
	f.requireTwins(2)
	f.clock.Advance(time.Second)
	f.twin(3)
	f.claim(1, 1)
	f.requireTwins(2, 3)
	_, err := f.Finish(t.Context(), ID(2), result(1))
	require.NoError(t, err)
	f.requireTwins(3, 2)
	_, err = f.Fail(t.Context(), ID(3), failing(1, false))
	require.NoError(t, err)
	f.requireTwins(2)
	f.twin(4)
	_, err = f.Cancel(t.Context(), ID(4))
	require.NoError(t, err)
	f.requireTwins(2)
}

// manyTwins has more twins than are given.
func manyTwins(t *testing.T, f *fixture) {
	const most = taskdb.MaxTwins
	for n := range 2 * (most + 2) {
		f.twin(n + 1)
		f.clock.Advance(time.Millisecond)
		f.claim(1, 1)
	}
	for n := range most + 2 {
		f.clock.Advance(time.Millisecond)
		_, err := f.Finish(t.Context(), ID(n+1), result(1))
		require.NoError(t, err)
	}
	var want []int
	for n := range most {
		want = append(want, most+3+n)
	}
	for n := range most {
		want = append(want, most+2-n)
	}
	f.requireTwins(want...)
}

func likenesses(t *testing.T, f *fixture) {
	f.twin(1)
	for n, change := range []func(*taskdb.NewTask){
		func(n *taskdb.NewTask) { n.Owner = "a" },
		func(n *taskdb.NewTask) { n.Original.SHA256 = fmt.Sprintf("%064x", 1) },
		func(n *taskdb.NewTask) { n.Original.Size++ },
		func(n *taskdb.NewTask) { n.Pipeline = []byte(`{"renditions":[{"name":"other"}]}`) },
	} {
		f.twin(n+2, change)
	}
	for n, change := range []func(*taskdb.NewTask){
		func(n *taskdb.NewTask) { n.Original.ContentType = "image/png" },
		func(n *taskdb.NewTask) { n.Lane = taskdb.Batch },
		func(n *taskdb.NewTask) { n.Pipeline = []byte(` { "renditions": [ { "name": "main" } ] } `) },
	} {
		f.twin(n+6, change)
	}
	f.claim(8, 8)
	f.requireTwins(1, 6, 7, 8)
}

func wrongLikeness(t *testing.T, f *fixture) {
	good := taskdb.LikenessOf(taskdb.Task{Pipeline: New(1).Pipeline, Original: New(1).Original})
	for _, change := range []func(*taskdb.Likeness){
		func(l *taskdb.Likeness) { l.Size = 0 },
		func(l *taskdb.Likeness) { l.SHA256 = "AB" },
		func(l *taskdb.Likeness) { l.Pipeline = nil },
		func(l *taskdb.Likeness) { l.Pipeline = []byte("[]") },
		func(l *taskdb.Likeness) { l.Owner = string(make([]byte, taskdb.MaxOwner+1)) },
	} {
		l := good
		change(&l)
		_, err := f.Twins(t.Context(), l)
		f.refused(err, fault.Invalid)
	}
}

func createsFinished(t *testing.T, f *fixture) {
	r := result(1)
	made := f.twin(1, func(n *taskdb.NewTask) { n.Result, n.Owner, n.KeepMillis = &r, "a", 3_600_000 })
	require.Equal(t, taskdb.Finished, made.State)
	require.Equal(t, &r, made.Result)
	require.Equal(t, 1, made.Attempt)
	require.InDelta(t, 1, made.Progress, 0)
	require.Equal(t, made, f.get(1))
	f.heardOnly(events.Event{Kind: events.Ended, TaskID: ID(1), State: "finished"})
	f.claim(1, 0)
	st, err := f.Stats(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, st.States[taskdb.Finished])
	require.Zero(t, st.States[taskdb.NotStarted])
	again := f.twin(1, func(n *taskdb.NewTask) { n.Result, n.Owner = &r, "a" })
	require.Equal(t, made, again)
	require.Empty(t, f.heard.Take(), "a repeat is not told")
	p, err := f.ListOwned(t.Context(), "a", taskdb.Finished, "", 0)
	require.NoError(t, err)
	require.Len(t, p.Tasks, 1)

	// It takes no turn of its owner's.
	for n := 2; n <= 3; n++ {
		f.clock.Advance(time.Second)
		owner := map[int]string{2: "b", 3: "a"}[n]
		f.twin(n, func(n *taskdb.NewTask) { n.Owner = owner })
	}
	f.twin(4, func(n *taskdb.NewTask) { n.Owner = "b" })
	require.Equal(t, []string{ID(2), ID(3)}, []string{f.claim(1, 1)[0].ID, f.claim(1, 1)[0].ID})
}

func refusesResults(t *testing.T, f *fixture) {
	for name, change := range map[string]func(*taskdb.NewTask){
		"not of a twin":      func(n *taskdb.NewTask) { n.Dedupe = false },
		"scheduled":          func(n *taskdb.NewTask) { n.NotBefore = f.clock.Now().Add(time.Hour) },
		"delayed":            func(n *taskdb.NewTask) { n.DelayMillis = 1 },
		"another attempt":    func(n *taskdb.NewTask) { n.Result.Attempt = 2 },
		"without renditions": func(n *taskdb.NewTask) { n.Result.Renditions = nil },
	} {
		r, n := result(1), New(1)
		n.Dedupe, n.Result = true, &r
		change(&n)
		_, err := f.Create(t.Context(), n)
		require.Error(t, err, name)
		f.refused(err, fault.Invalid)
	}
}

func releasesForLater(t *testing.T, f *fixture) {
	f.held(1)
	require.NoError(t, f.Release(t.Context(), taskdb.Lease{ID: ID(1), Attempt: 1, PauseMillis: 500}))
	task := f.get(1)
	require.Equal(t, taskdb.NotStarted, task.State)
	require.Equal(t, f.clock.Now().Add(500*time.Millisecond), task.NotBefore)
	require.Zero(t, task.Tries)
	f.heardOnly(events.Event{Kind: events.Queued, TaskID: ID(1), State: "notStarted", InMillis: 500})
	f.claim(1, 0)
	f.clock.Advance(499 * time.Millisecond)
	f.claim(1, 0)
	f.clock.Advance(time.Millisecond)
	require.Equal(t, 2, f.claim(1, 1)[0].Attempt)
}

func releasesForMuchLater(t *testing.T, f *fixture) {
	f.held(1)
	require.NoError(t, f.Release(t.Context(), taskdb.Lease{ID: ID(1), Attempt: 1, PauseMillis: 3_600_000}))
	require.Equal(t, f.clock.Now().Add(f.cfg.BackoffMax), f.get(1).NotBefore)
	f.held(2)
	require.NoError(t, f.Release(t.Context(), taskdb.Lease{ID: ID(2), Attempt: 1, PauseMillis: -5}))
	require.Zero(t, f.get(2).NotBefore, "what is over already is no pause")
}
