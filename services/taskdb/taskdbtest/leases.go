package taskdbtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

func leaseCases() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"expire/counts a death and frees the task at once": func(t *testing.T, f *fixture) {
			f.held(1)
			f.clock.Advance(f.cfg.Lease - time.Microsecond)
			f.expire(0)
			f.clock.Advance(time.Microsecond)
			got := f.expire(1)[0]
			require.Equal(t, taskdb.NotStarted, got.State)
			require.Equal(t, [2]int{1, 1}, [2]int{got.Tries, got.Deaths})
			require.Len(t, got.Failures, 1)
			fl := got.Failures[0]
			require.True(t, fl.Died && fl.Retryable && fl.Attempt == 1 && fl.Worker == "w1" && fl.Reason != "")
			require.Equal(t, got, f.get(1))
			f.heardOnly(events.Event{Kind: events.Queued, TaskID: ID(1), State: "notStarted"})
			require.Equal(t, 2, f.claim(1, 1)[0].Attempt)
		},
		"expire/says when to call again": func(t *testing.T, f *fixture) {
			next := func() time.Duration {
				e, err := f.Expire(t.Context())
				require.NoError(t, err)
				return time.Duration(e.NextMillis) * time.Millisecond
			}
			require.Equal(t, f.cfg.Lease, next(), "whatever begins now")
			f.held(1)
			const step = 300 * time.Microsecond
			f.clock.Advance(step)
			f.held(2)
			f.clock.Advance(step)
			require.Equal(t, f.cfg.Lease, next(), "rounded up")
			f.clock.Advance(f.cfg.Lease / 2)
			require.Equal(t, f.cfg.Lease/2, next())
			_, err := f.Renew(t.Context(), taskdb.Lease{ID: ID(1), Attempt: 1}, 0)
			require.NoError(t, err)
			f.clock.Advance(f.cfg.Lease/2 - step)
			require.Equal(t, f.cfg.Lease/2+time.Millisecond, next(), "rounded up; the second has just been ended")
			require.Equal(t, taskdb.NotStarted, f.get(2).State)
			require.Equal(t, taskdb.InProgress, f.get(1).State)
		},
		"expire/too many deaths": func(t *testing.T, f *fixture) {
			f.create(1)
			for range f.cfg.MaxDeaths {
				f.claim(1, 1)
				f.clock.Advance(f.cfg.Lease)
				f.heard.Take()
				f.expire(1)
			}
			got := f.get(1)
			require.Equal(t, taskdb.Failed, got.State)
			require.Equal(t, f.cfg.MaxDeaths, got.Deaths)
			require.Contains(t, got.Failures[len(got.Failures)-1].Reason, "killed its worker")
			_, err := f.Fail(t.Context(), ID(1), failing(got.Attempt, true))
			require.ErrorContains(t, err, "does not hold", "an expiry is not what the worker told")
			f.heardOnly(events.Event{Kind: events.Ended, TaskID: ID(1), State: "failed"})
			f.claim(1, 0)
		},
		"expire/a call parked before it gets nothing": func(t *testing.T, f *fixture) {
			f.held(1)
			f.clock.Advance(f.cfg.Lease)
			f.expire(1)
			f.create(2)
			f.clock.Advance(time.Second)
			parked := taskdb.Claim{Worker: "w1", Max: 2, WaitedMillis: 1001}
			_, err := f.Claim(t.Context(), parked)
			f.refused(err, fault.Conflict)
			require.Equal(t, 1, f.get(1).Attempt)
			require.Zero(t, f.get(2).Attempt)

			other := taskdb.Claim{Worker: "w2", Max: 1, WaitedMillis: 1001}
			ts, err := f.Claim(t.Context(), other)
			require.NoError(t, err, "only the silent worker is refused")
			require.Equal(t, ID(1), ts[0].ID)
			parked.WaitedMillis = 1000
			ts, err = f.Claim(t.Context(), parked)
			require.NoError(t, err, "who asks after the expiry lives")
			require.Equal(t, ID(2), ts[0].ID)
		},
		"expire/a clock set back shuts nobody out": func(t *testing.T, f *fixture) {
			f.held(1)
			f.clock.Advance(f.cfg.Lease)
			f.expire(1)
			f.clock.Advance(-time.Hour)
			ts, err := f.Claim(t.Context(), taskdb.Claim{Worker: "w1", Max: 1, WaitedMillis: 1})
			require.NoError(t, err)
			require.Len(t, ts, 1)
		},
		"expire/at most a thousand at once": func(t *testing.T, f *fixture) {
			const n = 1003
			for i := range n {
				f.create(i)
			}
			for taken := 0; taken < n; {
				ts, err := f.Claim(t.Context(), taskdb.Claim{Worker: "w", Max: taskdb.MaxClaim})
				require.NoError(t, err)
				require.NotEmpty(t, ts)
				taken += len(ts)
			}
			f.clock.Advance(f.cfg.Lease)
			f.expire(1000)
			f.expire(3)
			f.expire(0)
		},
		"expire/a clock set back holds nobody up": func(t *testing.T, f *fixture) {
			f.held(1) // a worker that dies
			f.held(2) // one that lives
			f.held(3)
			_, err := f.Fail(t.Context(), ID(3), failing(1, true))
			require.NoError(t, err)
			f.clock.Advance(-time.Hour)
			f.expire(0) // the leases begin anew, and nobody's is ended
			until, err := f.Renew(t.Context(), taskdb.Lease{ID: ID(2), Attempt: 1}, 0.5)
			require.NoError(t, err)
			require.Equal(t, f.clock.Now().Add(f.cfg.Lease), until)
			f.clock.Advance(f.cfg.Lease)
			_, err = f.Renew(t.Context(), taskdb.Lease{ID: ID(2), Attempt: 1}, 0.6)
			require.NoError(t, err)
			require.Equal(t, ID(1), f.expire(1)[0].ID)
			require.Len(t, f.claim(3, 2), 2, "the pause of the failed one is over, too")
		},
		"expire/a clock set forward costs an attempt, no task": func(t *testing.T, f *fixture) {
			f.held(1)
			f.clock.Advance(time.Hour)
			_, err := f.Renew(t.Context(), taskdb.Lease{ID: ID(1), Attempt: 1}, 0.5)
			require.NoError(t, err, "a lease that was not ended still holds")
			f.expire(0)
			f.clock.Advance(time.Hour)
			f.expire(1)
			f.lateWrites(1, 1)
			require.Equal(t, 2, f.claim(1, 1)[0].Attempt)
		},
		"fence/after expiry, and after the next claim": func(_ *testing.T, f *fixture) {
			f.held(1)
			f.clock.Advance(f.cfg.Lease)
			f.expire(1)
			f.lateWrites(1, 1)
			f.claim(1, 1)
			f.lateWrites(1, 1)
			f.lateWrites(1, 3) // an attempt that never was
		},
		"fence/after release": func(t *testing.T, f *fixture) {
			f.held(1)
			require.NoError(t, f.Release(t.Context(), taskdb.Lease{ID: ID(1), Attempt: 1}))
			f.lateWrites(1, 1)
		},
		"fence/after cancel": func(t *testing.T, f *fixture) {
			f.held(1)
			_, err := f.Cancel(t.Context(), ID(1))
			require.NoError(t, err)
			f.lateWrites(1, 1)
		},
		"fence/after another finished": func(t *testing.T, f *fixture) {
			f.held(1)
			f.clock.Advance(f.cfg.Lease)
			f.expire(1)
			f.claim(1, 1)
			_, err := f.Finish(t.Context(), ID(1), result(2))
			require.NoError(t, err)
			f.lateWrites(1, 1)
		},
		"fence/before any claim": func(_ *testing.T, f *fixture) {
			f.create(1)
			f.lateWrites(1, 0)
			f.lateWrites(1, 1)
		},
	}
}
