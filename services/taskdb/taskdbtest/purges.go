package taskdbtest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

func purgeCases() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"purge/by the time that a task brings": purgesExpired,
		"purge/by how long ago a task ended":   purgesEnded,
		"purge/wrong lengths":                  wrongKeeps,
		"purge/many callers":                   purgeRace,
		"purge/in batches": func(t *testing.T, f *fixture) {
			for n := range taskdb.MaxPurge + 5 {
				f.kept(n, time.Second)
			}
			f.clock.Advance(time.Second)
			require.Len(t, f.purge(taskdb.Retention{}), taskdb.MaxPurge)
			require.Len(t, f.purge(taskdb.Retention{}), 5)
			require.Empty(t, f.purge(taskdb.Retention{}))
		},
	}
}

// kept creates the n-th task, to be removed after some time.
func (f *fixture) kept(n int, d time.Duration) taskdb.Task {
	f.Helper()
	task := New(n)
	task.KeepMillis = d.Milliseconds()
	got, err := f.Create(f.Context(), task)
	require.NoError(f, err)
	return got
}

// purge gives the IDs of what a purge removed.
func (f *fixture) purge(r taskdb.Retention) []string {
	f.Helper()
	all, err := f.Purge(f.Context(), r)
	require.NoError(f, err)
	require.NotNil(f, all)
	ids := make([]string, len(all))
	for i, gone := range all {
		ids[i] = gone.Task.ID
		_, err := f.Get(f.Context(), ids[i])
		f.refused(err, fault.NotFound)
	}
	return ids
}

func purgesExpired(t *testing.T, f *fixture) {
	now := taskdb.Stamp(f.clock.Now())
	require.Equal(t, now.Add(time.Minute), f.kept(1, time.Minute).Expires)
	n := New(2)
	n.Expires = now.Add(30 * time.Second).In(time.FixedZone("there", 3600))
	got, err := f.Create(t.Context(), n)
	require.NoError(t, err)
	require.Equal(t, now.Add(30*time.Second), got.Expires)
	f.create(3)
	past := New(4)
	past.Expires = now.Add(-time.Hour)
	_, err = f.Create(t.Context(), past)
	require.NoError(t, err, "another clock may have made it")
	repeat := n
	repeat.Expires = now.Add(time.Hour)
	got, err = f.Create(t.Context(), repeat)
	require.NoError(t, err)
	require.Equal(t, n.Expires.UTC(), got.Expires, "a repeat changes nothing")

	require.Equal(t, []string{ID(4)}, f.purge(taskdb.Retention{}))
	require.Empty(t, f.purge(taskdb.Retention{}))
	f.clock.Advance(30*time.Second - time.Microsecond)
	require.Empty(t, f.purge(taskdb.Retention{}))
	f.claim(1, 1)
	f.heard.Take()
	f.clock.Advance(time.Microsecond)
	require.Equal(t, []string{ID(2)}, f.purge(taskdb.Retention{}), "to the microsecond")
	require.Len(t, f.heard.Take(), 1, "who waits is told")
	f.clock.Advance(-time.Hour)
	require.Empty(t, f.purge(taskdb.Retention{}), "a clock that is set back keeps")
	f.clock.Advance(2 * time.Hour)
	require.Equal(t, []string{ID(1)}, f.purge(taskdb.Retention{}))
	require.Equal(t, ID(3), f.get(3).ID)
}

func purgesEnded(t *testing.T, f *fixture) {
	for n := range 5 {
		f.held(n)
	}
	_, err := f.Finish(t.Context(), ID(0), result(1))
	require.NoError(t, err)
	_, err = f.Fail(t.Context(), ID(1), failing(1, false))
	require.NoError(t, err)
	_, err = f.Cancel(t.Context(), ID(2))
	require.NoError(t, err)
	require.NoError(t, f.Release(t.Context(), taskdb.Lease{ID: ID(3), Attempt: 1}))
	f.clock.Advance(time.Hour)
	require.Empty(t, f.purge(taskdb.Retention{}), "for ever")
	hour := taskdb.Retention{FinishedMillis: time.Hour.Milliseconds(), FailedMillis: 2 * time.Hour.Milliseconds()}
	all, err := f.Purge(t.Context(), hour)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, ID(0), all[0].Task.ID)
	require.Equal(t, "k-main", all[0].Task.Result.Renditions[0].Key, "its blobs are named")
	_, err = f.Retry(t.Context(), ID(1))
	require.NoError(t, err)
	f.clock.Advance(time.Hour)
	require.Equal(t, []string{ID(2)}, f.purge(hour))
	require.Empty(t, f.purge(hour), "what is not at its end stays")
	st, err := f.Stats(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, st.States[taskdb.NotStarted]+st.States[taskdb.InProgress])
	require.Zero(t, st.States[taskdb.Finished]+st.States[taskdb.Failed]+st.States[taskdb.Cancelled])
}

func wrongKeeps(t *testing.T, f *fixture) {
	for field, spoil := range map[string]func(*taskdb.NewTask){
		"keepMillis": func(n *taskdb.NewTask) { n.KeepMillis = -1 },
		"expires":    func(n *taskdb.NewTask) { n.KeepMillis, n.Expires = 1, f.clock.Now() },
	} {
		n := New(1)
		spoil(&n)
		_, err := f.Create(t.Context(), n)
		f.refused(err, fault.Invalid)
		require.Equal(t, field, fault.As(err).Field)
	}
	long := New(1)
	long.KeepMillis = taskdb.MaxKeep.Milliseconds() + 1
	_, err := f.Create(t.Context(), long)
	f.refused(err, fault.Invalid)
	for _, r := range []taskdb.Retention{{FinishedMillis: -1}, {FailedMillis: taskdb.MaxKeep.Milliseconds() + 1}} {
		_, err := f.Purge(t.Context(), r)
		f.refused(err, fault.Invalid)
	}
}

// purgeRace has many purge at once while tasks are worked: each is removed once.
func purgeRace(t *testing.T, f *fixture) {
	const tasks = 120
	for n := range tasks {
		f.kept(n, time.Minute)
	}
	f.clock.Advance(time.Hour)
	var mu sync.Mutex
	seen := map[string]int{}
	together(8, func(i int) {
		for range 8 {
			if i%4 == 0 {
				_, err := f.Claim(t.Context(), taskdb.Claim{Worker: "w", Max: 3})
				assert.NoError(t, err)
				continue
			}
			all, err := f.Purge(t.Context(), taskdb.Retention{})
			assert.NoError(t, err)
			mu.Lock()
			for _, r := range all {
				seen[r.Task.ID]++
			}
			mu.Unlock()
		}
	})
	for _, id := range f.purge(taskdb.Retention{}) {
		seen[id]++
	}
	require.Len(t, seen, tasks)
	for id, n := range seen {
		require.Equal(t, 1, n, id)
	}
	st, err := f.Stats(t.Context())
	require.NoError(t, err)
	require.Zero(t, st.States[taskdb.NotStarted]+st.States[taskdb.InProgress])
}
