package taskdbtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

func claimCases() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"claim/nothing to do": func(_ *testing.T, f *fixture) {
			f.claim(5, 0)
			require.Empty(f, f.heard.Take())
		},
		"claim/oldest first": func(t *testing.T, f *fixture) {
			for _, n := range []int{5, 3, 9, 1} { // by age, not by ID
				f.create(n)
				f.clock.Advance(time.Millisecond)
			}
			var ids []string
			for _, c := range [][2]int{{1, 1}, {2, 2}, {taskdb.MaxClaim, 1}} {
				for _, task := range f.claim(c[0], c[1]) {
					ids = append(ids, task.ID)
				}
			}
			require.Equal(t, []string{ID(5), ID(3), ID(9), ID(1)}, ids)
		},
		"claim/gives a lease": func(t *testing.T, f *fixture) {
			was := f.create(1)
			f.heard.Take()
			f.clock.Advance(time.Second)
			got := f.claim(1, 1)[0]
			want := was
			want.State, want.Attempt, want.Worker = taskdb.InProgress, 1, "w1"
			want.Updated = taskdb.Stamp(f.clock.Now())
			want.LeaseUntil = want.Updated.Add(f.cfg.Lease)
			require.Equal(t, want, got)
			require.Equal(t, want, f.get(1))
			f.heardOnly(events.Event{Kind: events.Progress, TaskID: ID(1), State: "inProgress"})
			f.claim(1, 0)
		},
		"claim/released comes back first, unharmed": func(t *testing.T, f *fixture) {
			held := f.held(1)
			f.clock.Advance(time.Second)
			f.create(2)
			f.heard.Take()
			require.NoError(t, f.Release(t.Context(), taskdb.Lease{ID: held.ID, Attempt: 1}))
			f.heardOnly(events.Event{Kind: events.Queued, TaskID: ID(1), State: "notStarted"})
			got := f.get(1)
			require.Zero(t, got.Tries)
			require.Zero(t, got.Deaths)
			require.Empty(t, got.Failures)
			require.Empty(t, got.Worker)
			require.True(t, got.LeaseUntil.IsZero())
			again := f.claim(1, 1)[0]
			require.Equal(t, ID(1), again.ID)
			require.Equal(t, 2, again.Attempt)
		},
		"claim/a clock set back hides nothing": func(_ *testing.T, f *fixture) {
			f.create(1)
			f.clock.Advance(-time.Hour)
			f.claim(1, 1)
		},
		"lease/renewed": func(t *testing.T, f *fixture) {
			held := f.held(1)
			f.clock.Advance(10 * time.Second)
			until, err := f.Renew(t.Context(), taskdb.Lease{ID: held.ID, Attempt: 1}, 0.25)
			require.NoError(t, err)
			require.Equal(t, taskdb.Stamp(f.clock.Now()).Add(f.cfg.Lease), until)
			got := f.get(1)
			require.Equal(t, until, got.LeaseUntil)
			require.InDelta(t, 0.25, got.Progress, 0)
			f.heardOnly(events.Event{Kind: events.Progress, TaskID: ID(1), State: "inProgress"})
			f.clock.Advance(10 * time.Second) // past the first lease
			f.expire(0)
		},
		"lease/run out but not expired still holds": func(t *testing.T, f *fixture) {
			held := f.held(1)
			f.clock.Advance(time.Hour)
			f.claim(1, 0)
			_, err := f.Renew(t.Context(), taskdb.Lease{ID: held.ID, Attempt: 1}, 0)
			require.NoError(t, err)
			f.clock.Advance(time.Hour)
			_, err = f.Finish(t.Context(), held.ID, result(1))
			require.NoError(t, err)
		},
	}
}

// lateWrites checks that an attempt which lost its lease changes nothing.
func (f *fixture) lateWrites(n, attempt int) {
	f.Helper()
	f.heard.Take()
	was := f.get(n)
	_, err := f.Renew(f.Context(), taskdb.Lease{ID: ID(n), Attempt: attempt}, 0.5)
	f.refused(err, fault.Conflict, was.State)
	_, err = f.Finish(f.Context(), ID(n), result(attempt))
	f.refused(err, fault.Conflict, was.State)
	_, err = f.Fail(f.Context(), ID(n), failing(attempt, false))
	f.refused(err, fault.Conflict, was.State)
	f.refused(f.Release(f.Context(), taskdb.Lease{ID: ID(n), Attempt: attempt}), fault.Conflict, was.State)
	require.Equal(f, was, f.get(n))
	require.Empty(f, f.heard.Take())
}

// expire ends leases and expects so many.
func (f *fixture) expire(want int) []taskdb.Task {
	f.Helper()
	e, err := f.Expire(f.Context())
	require.NoError(f, err)
	require.Len(f, e.Tasks, want)
	return e.Tasks
}
