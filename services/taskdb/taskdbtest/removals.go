package taskdbtest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

func removalCases() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"delete/in every state":           deletes,
		"delete/unknown":                  deletesNothing,
		"delete/the attempt in hand ends": deletesHeld,
		"delete/makes room for the same ID": func(t *testing.T, f *fixture) {
			f.held(1)
			_, err := f.Delete(t.Context(), ID(1))
			require.NoError(t, err)
			f.clock.Advance(time.Hour)
			require.Equal(t, taskdb.NotStarted, f.create(1).State)
			require.Zero(t, f.get(1).Attempt)
		},
		"delete/one of many, against everything else": deleteRace,
	}
}

// deletes has one task in each state, and deletes all of them.
func deletes(t *testing.T, f *fixture) {
	ends := map[int]func(int) error{
		1: func(n int) error { _, err := f.Finish(t.Context(), ID(n), result(1)); return err },
		2: func(n int) error { _, err := f.Fail(t.Context(), ID(n), failing(1, false)); return err },
		3: func(n int) error { _, err := f.Cancel(t.Context(), ID(n)); return err },
		4: func(n int) error { _, err := f.Fail(t.Context(), ID(n), failing(1, true)); return err }, // pauses
		5: func(int) error { return nil },                                                           // in progress
	}
	for n := range 5 {
		f.held(n + 1)
		require.NoError(t, ends[n+1](n+1))
	}
	f.create(6)
	f.heard.Take()
	for n, was := range []taskdb.State{
		taskdb.Finished, taskdb.Failed, taskdb.Cancelled, taskdb.NotStarted, taskdb.InProgress, taskdb.NotStarted,
	} {
		before := f.get(n + 1)
		require.Equal(t, was, before.State)
		got, err := f.Delete(t.Context(), ID(n+1))
		require.NoError(t, err)
		if was == taskdb.NotStarted || was == taskdb.InProgress {
			require.Equal(t, taskdb.Cancelled, got.Task.State)
			require.Equal(t, before.Attempt, got.Task.Attempt)
			told := f.heard.Take()
			require.Len(t, told, 1, "who waits is told")
			require.Equal(t, []any{events.Ended, ID(n + 1), "cancelled"}, []any{told[0].Kind, told[0].TaskID, told[0].State})
		} else {
			require.Equal(t, before, got.Task)
			require.Empty(t, f.heard.Take())
		}
		_, err = f.Get(t.Context(), ID(n+1))
		f.refused(err, fault.NotFound)
	}
	st, err := f.Stats(t.Context())
	require.NoError(t, err)
	for _, s := range taskdb.States() {
		require.Zero(t, st.States[s], s)
	}
	require.Zero(t, st.OldestWaiting)
	f.clock.Advance(time.Hour)
	f.claim(10, 0)
	e, err := f.Expire(t.Context())
	require.NoError(t, err)
	require.Empty(t, e.Tasks)
}

func deletesNothing(t *testing.T, f *fixture) {
	for _, id := range []string{ID(404), "", "nonsense", "a/b?c=d"} {
		_, err := f.Delete(t.Context(), id)
		f.refused(err, fault.NotFound)
	}
	f.create(1)
	_, err := f.Delete(t.Context(), ID(1))
	require.NoError(t, err)
	_, err = f.Delete(t.Context(), ID(1))
	f.refused(err, fault.NotFound)
}

func deletesHeld(t *testing.T, f *fixture) {
	f.held(1)
	_, err := f.Delete(t.Context(), ID(1))
	require.NoError(t, err)
	_, err = f.Renew(t.Context(), taskdb.Lease{ID: ID(1), Attempt: 1}, 0.5)
	f.refused(err, fault.NotFound)
	_, err = f.Finish(t.Context(), ID(1), result(1))
	f.refused(err, fault.NotFound)
	_, err = f.Fail(t.Context(), ID(1), failing(1, true))
	f.refused(err, fault.NotFound)
	f.refused(f.Release(t.Context(), taskdb.Lease{ID: ID(1), Attempt: 1}), fault.NotFound)
}

// deleteRace has many delete one task while others create, claim and end it: each
// of its lives is deleted once.
func deleteRace(t *testing.T, f *fixture) {
	var made, gone atomic.Int32
	f.create(1)
	made.Add(1)
	together(16, func(i int) {
		for range 8 {
			switch i % 4 {
			case 0, 1:
				if _, err := f.Delete(t.Context(), ID(1)); err == nil {
					gone.Add(1)
				} else {
					assert.Equal(t, fault.NotFound, fault.KindOf(err), "%v", err)
				}
			case 2:
				_, err := f.Create(t.Context(), New(1))
				assert.NoError(t, err)
			default:
				if ts, err := f.Claim(t.Context(), taskdb.Claim{Worker: "w", Max: 1}); assert.NoError(t, err) && len(ts) == 1 {
					_, err := f.Finish(t.Context(), ID(1), result(ts[0].Attempt))
					if err != nil {
						assert.Contains(t, []fault.Kind{fault.NotFound, fault.Conflict}, fault.KindOf(err), "%v", err)
					}
				}
			}
		}
	})
	for _, e := range f.heard.Take() {
		if e.Kind == events.Queued {
			made.Add(1)
		}
	}
	left := int32(0)
	if _, err := f.Delete(t.Context(), ID(1)); err == nil {
		left = 1
	}
	require.Equal(t, made.Load()-1, gone.Load()+left, "one event of each creation, one deletion of each")
	st, err := f.Stats(t.Context())
	require.NoError(t, err)
	for _, s := range taskdb.States() {
		require.Zero(t, st.States[s], s)
	}
}
