package taskdbtest

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

func raceCases() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"race/each task is claimed and finished once": claimRace,
		"race/one of many finishes": func(t *testing.T, f *fixture) {
			f.held(1)
			var won atomic.Int32
			together(16, func(i int) {
				var err error
				switch i % 3 {
				case 0:
					_, err = f.Fail(t.Context(), ID(1), failing(1, false))
				case 1:
					_, err = f.Cancel(t.Context(), ID(1))
				default:
					_, err = f.Finish(t.Context(), ID(1), result(1))
				}
				if err != nil {
					assert.Equal(t, fault.Conflict, fault.KindOf(err), "%v", err)
				}
			})
			for _, e := range f.heard.Take() {
				if e.Kind == events.Ended {
					won.Add(1)
				}
			}
			require.EqualValues(t, 1, won.Load())
		},
		"race/one create of many": func(t *testing.T, f *fixture) {
			together(16, func(int) {
				_, err := f.Create(t.Context(), New(1))
				assert.NoError(t, err)
			})
			require.Len(t, f.heard.Take(), 1)
			f.claim(5, 1)
		},
	}
}

func claimRace(t *testing.T, f *fixture) {
	const tasks, workers = 200, 8
	var created atomic.Int32
	var mu sync.Mutex
	seen := map[string]int{}
	together(2*workers, func(i int) {
		if i%2 == 0 { // half of them bring tasks
			for n := int(created.Add(1)) - 1; n < tasks; n = int(created.Add(1)) - 1 {
				_, err := f.Create(t.Context(), New(n))
				assert.NoError(t, err)
			}
			return
		}
		for {
			got, err := f.Claim(t.Context(), taskdb.Claim{Worker: "w", Max: 1 + i%3})
			if !assert.NoError(t, err) {
				return
			}
			for _, task := range got {
				_, err := f.Finish(t.Context(), task.ID, result(task.Attempt))
				assert.NoError(t, err)
			}
			mu.Lock()
			for _, task := range got {
				seen[task.ID]++
			}
			done := len(seen) == tasks
			mu.Unlock()
			if done {
				return
			}
		}
	})
	for id, n := range seen {
		require.Equal(t, 1, n, id)
	}
	st, err := f.Stats(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, tasks, st.States[taskdb.Finished])
}

// together runs fn n times at once and waits for all.
func together(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}
