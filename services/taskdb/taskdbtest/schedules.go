package taskdbtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

func scheduleCases() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"schedule/by time and by delay": func(t *testing.T, f *fixture) {
			at := taskdb.Stamp(f.clock.Now()).Add(time.Hour)
			f.later(1, at, 0)
			f.heardOnly(events.Event{Kind: events.Queued, TaskID: ID(1), State: "notStarted", InMillis: time.Hour.Milliseconds()})
			f.later(2, time.Time{}, time.Hour)
			require.Equal(t, at, f.get(2).NotBefore)
			f.later(3, at.Add(-2*time.Hour), 0)
			require.True(t, f.get(3).NotBefore.IsZero(), "what has come is at once")
			require.Equal(t, ID(3), f.claim(3, 1)[0].ID)
			f.clock.Advance(time.Hour - time.Microsecond)
			f.claim(3, 0)
			f.clock.Advance(time.Microsecond)
			got := f.claim(3, 2)
			require.True(t, got[0].NotBefore.IsZero())
		},
		"schedule/a repeat keeps the time": func(t *testing.T, f *fixture) {
			f.later(1, time.Time{}, time.Hour)
			was := f.get(1)
			f.clock.Advance(time.Minute)
			f.later(1, time.Time{}, time.Hour)
			require.Equal(t, was, f.get(1))
		},
		"schedule/is told when it has come": func(t *testing.T, f *fixture) {
			f.later(1, time.Time{}, 3*time.Second)
			f.later(2, time.Time{}, time.Hour)
			f.heard.Take()
			e, err := f.Expire(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 3000, e.NextMillis)
			require.Empty(t, f.heard.Take())
			f.clock.Advance(3 * time.Second)
			e, err = f.Expire(t.Context())
			require.NoError(t, err)
			require.Empty(t, e.Tasks, "it had no lease")
			require.Equal(t, f.cfg.Lease.Milliseconds(), e.NextMillis)
			f.heardOnly(events.Event{Kind: events.Queued, TaskID: ID(1), State: "notStarted"})
			require.True(t, f.get(1).NotBefore.IsZero())
			f.expire(0)
			require.Empty(t, f.heard.Take(), "told once")
			require.Equal(t, ID(1), f.claim(2, 1)[0].ID)
		},
		"schedule/a pause is told as well": func(t *testing.T, f *fixture) {
			f.held(1)
			got, err := f.Fail(t.Context(), ID(1), failing(1, true))
			require.NoError(t, err)
			f.heard.Take()
			e, err := f.Expire(t.Context())
			require.NoError(t, err)
			pause := got.NotBefore.Sub(taskdb.Stamp(f.clock.Now()))
			require.Equal(t, pause.Milliseconds()+1, e.NextMillis)
			f.clock.Advance(pause)
			f.expire(0)
			f.heardOnly(events.Event{Kind: events.Queued, TaskID: ID(1), State: "notStarted"})
		},
		"schedule/a clock set back does not bring it forward": func(t *testing.T, f *fixture) {
			f.later(1, time.Time{}, time.Hour)
			at := f.get(1).NotBefore
			f.clock.Advance(-time.Hour)
			f.expire(0)
			require.Equal(t, at, f.get(1).NotBefore)
		},
		"schedule/is not overdue": func(t *testing.T, f *fixture) {
			f.later(1, time.Time{}, time.Hour)
			f.clock.Advance(time.Minute)
			st, err := f.Stats(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 1, st.States[taskdb.NotStarted])
			require.True(t, st.OldestWaiting.IsZero())
			f.create(2)
			st, err = f.Stats(t.Context())
			require.NoError(t, err)
			require.Equal(t, f.get(2).Created, st.OldestWaiting)
		},
		"schedule/cancelled, and retried at once": func(t *testing.T, f *fixture) {
			f.later(1, time.Time{}, time.Hour)
			got, err := f.Cancel(t.Context(), ID(1))
			require.NoError(t, err)
			require.True(t, got.NotBefore.IsZero())
			f.clock.Advance(2 * time.Hour)
			f.claim(1, 0)
			_, err = f.Retry(t.Context(), ID(1))
			require.NoError(t, err)
			f.claim(1, 1)
		},
		"schedule/many at one time take turns with others": func(_ *testing.T, f *fixture) {
			f.queue(100, 6, func(n *taskdb.NewTask) { n.Owner, n.NotBefore = "a", NewClock().Now().Add(time.Hour) })
			f.queue(200, 40, ownedBy("b"))
			f.claim(30, 30)
			f.clock.Advance(time.Hour)
			f.takes(100, 230, 101, 231)
		},
		"failed/all of an owner": retryAll,
		"failed/everybody's":     retryEverybodys,
		"list/of an owner": func(t *testing.T, f *fixture) {
			for i := range 7 {
				f.queue(10*i, 1, ownedBy([]string{"a", "b", ""}[i%3]))
			}
			list := func(owner, after string, limit int) taskdb.Page {
				p, err := f.ListOwned(t.Context(), owner, taskdb.NotStarted, after, limit)
				require.NoError(t, err)
				return p
			}
			p := list("a", "", 2)
			require.Equal(t, []string{ID(0), ID(30)}, ids(p.Tasks))
			require.Equal(t, ID(30), p.Next)
			p = list("a", p.Next, 2)
			require.Equal(t, []string{ID(60)}, ids(p.Tasks))
			require.Empty(t, p.Next)
			require.Equal(t, f.get(60), p.Tasks[0])
			require.Empty(t, list("c", "", 0).Tasks)
			require.Len(t, list("", "", 0).Tasks, 7)
			f.claim(7, 7)
			require.Empty(t, list("b", "", 0).Tasks)
			p, err := f.ListOwned(t.Context(), "b", taskdb.InProgress, "", 0)
			require.NoError(t, err)
			require.Equal(t, []string{ID(10), ID(40)}, ids(p.Tasks))
		},
	}
}

// later makes the n-th task for a time, or after a delay.
func (f *fixture) later(n int, at time.Time, delay time.Duration) {
	f.Helper()
	task := New(n)
	task.NotBefore, task.DelayMillis = at, delay.Milliseconds()
	_, err := f.Create(f.Context(), task)
	require.NoError(f, err)
}

// failed makes tasks of an owner and lets them fail for good.
func (f *fixture) failed(n, many int, owner string) {
	f.Helper()
	f.queue(n, many, ownedBy(owner))
	for _, task := range f.claim(many, many) {
		_, err := f.Fail(f.Context(), task.ID, failing(1, false))
		require.NoError(f, err)
	}
}

func retryAll(t *testing.T, f *fixture) {
	f.failed(10, 7, "a")
	f.failed(20, 3, "b")
	_, err := f.Cancel(t.Context(), ID(10))
	f.refused(err, fault.Conflict)
	f.heard.Take()
	after := ""
	for _, want := range []taskdb.Retries{{Retried: 3, Next: ID(12)}, {Retried: 3, Next: ID(15)}, {Retried: 1}} {
		got, err := f.RetryFailed(t.Context(), "a", after, 3)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Len(t, f.heard.Take(), want.Retried, "each is told")
		after = want.Next
	}
	got := f.get(16)
	require.Equal(t, taskdb.NotStarted, got.State)
	require.Equal(t, [2]int{}, [2]int{got.Tries, got.Deaths})
	require.Len(t, got.Failures, 1, "what went wrong is kept")
	for n := range 3 {
		require.Equal(t, taskdb.Failed, f.get(20+n).State, "others' stay")
	}
	again, err := f.RetryFailed(t.Context(), "a", "", 0)
	require.NoError(t, err)
	require.Zero(t, again, "a repeat finds nothing")
	require.Len(t, f.claim(10, 7), 7)
}

func retryEverybodys(t *testing.T, f *fixture) {
	f.failed(10, 2, "a")
	f.failed(20, 2, "")
	_, err := f.RetryFailed(t.Context(), "", ID(10), 2)
	require.NoError(t, err)
	require.Equal(t, taskdb.Failed, f.get(10).State, "it lies before the cursor")
	require.Equal(t, taskdb.Failed, f.get(21).State)
	got, err := f.RetryFailed(t.Context(), "", "", 0)
	require.NoError(t, err)
	require.Equal(t, taskdb.Retries{Retried: 2}, got)
	st, err := f.Stats(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 4, st.States[taskdb.NotStarted])
	require.Zero(t, st.States[taskdb.Failed])
}
