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
		"claim/leaves to others what only they can do": func(t *testing.T, f *fixture) {
			for n, needs := range []uint64{0b001, 0b010, 0b100, 0b110, 0b1000} {
				task := New(n + 1)
				task.Needs = needs
				_, err := f.Create(f.Context(), task)
				require.NoError(t, err)
				require.Equal(t, needs, f.get(n+1).Needs)
				f.clock.Advance(time.Millisecond)
			}
			heard := f.heard.Take()
			require.Equal(t, uint64(0b010), heard[1].Needs, "who waits for work is told what it needs")
			take := func(most int, can uint64, others ...uint64) (ids []string) {
				tasks, err := f.Claim(f.Context(), taskdb.Claim{Worker: "w1", Max: most, Can: can, Others: others})
				require.NoError(t, err)
				for _, task := range tasks {
					ids = append(ids, task.ID)
				}
				return ids
			}
			require.Empty(t, take(5, 0, 0b1111))
			// What nobody can do is anybody's; what no single other can do, too.
			require.Equal(t, []string{ID(1), ID(4)}, take(2, 0b001, 0b011, 0b101, 0b1001))
			require.Equal(t, []string{ID(5)}, take(5, 0b001, 0b011, 0b101), "the others' are left")
			lease := f.get(5)
			_, err := f.Fail(f.Context(), ID(5), failing(lease.Attempt, true))
			require.NoError(t, err)
			f.clock.Advance(time.Minute)
			require.Equal(t, []string{ID(3)}, take(5, 0b101, 0b010, 0b1000), "paused ones are left as well")
			require.Equal(t, []string{ID(2), ID(5)}, take(5, 0))
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
