package taskdbtest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

func listCases() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"list/pages": func(t *testing.T, f *fixture) {
			for n := range 7 {
				f.create(n)
			}
			require.Equal(t, []int{3, 3, 1}, f.pages(taskdb.NotStarted, 3))
			require.Equal(t, []int{7}, f.pages(taskdb.NotStarted, 7))
			require.Equal(t, []int{7}, f.pages(taskdb.NotStarted, 0))
			require.Equal(t, []int{0}, f.pages(taskdb.Finished, 3))
		},
		"list/a cursor outlives changes": func(t *testing.T, f *fixture) {
			for n := 1; n <= 5; n++ {
				f.create(n * 10)
			}
			p, err := f.List(t.Context(), taskdb.NotStarted, "", 2)
			require.NoError(t, err)
			require.Equal(t, ID(20), p.Next)
			_, err = f.Cancel(t.Context(), ID(20)) // the cursor's own task leaves the list
			require.NoError(t, err)
			f.create(5)  // behind the cursor
			f.create(25) // ahead of it
			p, err = f.List(t.Context(), taskdb.NotStarted, p.Next, 10)
			require.NoError(t, err)
			require.Equal(t, []string{ID(25), ID(30), ID(40), ID(50)}, ids(p.Tasks))
			require.Equal(t, f.get(25), p.Tasks[0], "items are whole tasks")
		},
		"list/any text is a cursor": func(t *testing.T, f *fixture) {
			f.create(1)
			for after, want := range map[string]int{"0": 1, "\x00": 1, ID(1) + "\x00": 0, ID(1)[:9] + "\x00x": 1, "z'\"%\\": 0, "é": 0} {
				p, err := f.List(t.Context(), taskdb.NotStarted, after, 0)
				require.NoError(t, err)
				require.Len(t, p.Tasks, want, "%q", after)
			}
		},
		"list/wrong arguments": func(t *testing.T, f *fixture) {
			for _, c := range []struct {
				state taskdb.State
				limit int
			}{{"", 1}, {"sleeping", 1}, {taskdb.Failed, -1}, {taskdb.Failed, taskdb.MaxPage + 1}} {
				_, err := f.List(t.Context(), c.state, "", c.limit)
				f.refused(err, fault.Invalid)
			}
		},
		"stats/counts by state": stats,
		"context/a done one changes nothing": func(t *testing.T, f *fixture) {
			f.create(1)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := f.Create(ctx, New(2))
			require.ErrorIs(t, err, context.Canceled)
			_, err = f.Claim(ctx, taskdb.Claim{Worker: "w", Max: 1})
			require.ErrorIs(t, err, context.Canceled)
			_, err = f.Get(ctx, ID(1))
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, taskdb.NotStarted, f.get(1).State)
		},
	}
}

func stats(t *testing.T, f *fixture) {
	st, err := f.Stats(t.Context())
	require.NoError(t, err)
	require.Len(t, st.States, len(taskdb.States()))
	require.True(t, st.OldestWaiting.IsZero())
	oldest := f.create(1)
	f.clock.Advance(time.Second)
	f.create(2)
	f.claim(1, 1)
	_, err = f.Fail(t.Context(), ID(1), failing(1, true)) // paused, and still the oldest
	require.NoError(t, err)
	st, err = f.Stats(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, st.States[taskdb.NotStarted])
	require.Equal(t, oldest.Created, st.OldestWaiting)
	f.claim(1, 1)
	_, err = f.Cancel(t.Context(), ID(1))
	require.NoError(t, err)
	_, err = f.Finish(t.Context(), ID(2), result(1))
	require.NoError(t, err)
	st, err = f.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[taskdb.State]int64{
		taskdb.NotStarted: 0, taskdb.InProgress: 0, taskdb.Finished: 1, taskdb.Failed: 0, taskdb.Cancelled: 1,
	}, st.States)
	require.True(t, st.OldestWaiting.IsZero())
}

// pages walks a list and gives the sizes of its pages, after checking the order.
func (f *fixture) pages(state taskdb.State, limit int) (sizes []int) {
	f.Helper()
	after := ""
	for {
		p, err := f.List(f.Context(), state, after, limit)
		require.NoError(f, err)
		sizes = append(sizes, len(p.Tasks))
		for _, t := range p.Tasks {
			require.Greater(f, t.ID, after)
			after = t.ID
		}
		if p.Next == "" {
			return sizes
		}
		require.Equal(f, after, p.Next)
	}
}

func ids(tasks []taskdb.Task) []string {
	out := make([]string, len(tasks))
	for i, t := range tasks {
		out[i] = t.ID
	}
	return out
}
