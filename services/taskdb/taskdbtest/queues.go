package taskdbtest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

func queueCases() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"lanes/interactive first, with a share for batch": lanes,
		"lanes/many at once": func(t *testing.T, f *fixture) {
			f.queue(100, 40, func(n *taskdb.NewTask) { n.Lane = taskdb.Batch })
			f.queue(0, 40, func(n *taskdb.NewTask) { n.Lane = "interactive" })
			require.Equal(t, taskdb.Interactive, f.get(0).Lane)
			got := f.claim(16, 16)
			require.Equal(t, 16/taskdb.BatchShare, inBatch(got))
			require.Equal(t, ID(100), got[0].ID, "given oldest first")
			require.Equal(t, 2, inBatch(f.claim(16, 16)))
			require.Equal(t, 36, inBatch(f.claim(64, 48)), "what one lane lacks the other gives")
		},
		"lanes/the share is the same however many are claimed": func(t *testing.T, f *fixture) {
			f.queue(100, 20, func(n *taskdb.NewTask) { n.Lane = taskdb.Batch })
			f.queue(200, 80, nil)
			batch := 0
			for range 8 {
				batch += inBatch(f.claim(9, 9))
			}
			require.Equal(t, 8*9/taskdb.BatchShare, batch)
		},
		"lanes/batch alone is not held back": func(t *testing.T, f *fixture) {
			f.queue(1, 5, func(n *taskdb.NewTask) { n.Lane = taskdb.Batch })
			require.Equal(t, 3, inBatch(f.claim(3, 3)))
			require.Equal(t, 2, inBatch(f.claim(3, 2)))
		},
		"owners/take turns": func(t *testing.T, f *fixture) {
			f.queue(10, 4, ownedBy("a"))
			f.queue(20, 2, ownedBy("b"))
			f.queue(30, 1, ownedBy("c"))
			f.takes(10, 20, 30, 11, 21, 12, 13)
		},
		"owners/a newcomer is next": func(t *testing.T, f *fixture) {
			f.queue(100, 50, ownedBy("a"))
			f.claim(20, 20)
			f.queue(1, 1, ownedBy("b"))
			f.takes(120, 1, 121)
		},
		"owners/nobody saves up turns, nor pays for those had": func(_ *testing.T, f *fixture) {
			f.queue(100, 20, ownedBy("a"))
			f.claim(20, 20)
			f.queue(200, 3, ownedBy("a"))
			f.queue(300, 3, ownedBy("b"))
			f.takes(200, 300, 201, 301, 202, 302)
		},
		"owners/one lane's turns are not the other's": func(_ *testing.T, f *fixture) {
			f.queue(100, 5, ownedBy("a"))
			f.claim(5, 5)
			f.queue(200, 2, func(n *taskdb.NewTask) { n.Lane, n.Owner = taskdb.Batch, "a" })
			f.queue(300, 2, func(n *taskdb.NewTask) { n.Lane, n.Owner = taskdb.Batch, "b" })
			f.takes(200, 300, 201, 301)
		},
		"owners/the nameless have no turn to wait for": func(_ *testing.T, f *fixture) {
			f.queue(100, 5, ownedBy("a"))
			f.claim(2, 2)
			f.queue(1, 2, nil)
			f.takes(1, 2, 102)
		},
		"owners/what comes back keeps its turn": func(t *testing.T, f *fixture) {
			f.queue(100, 5, ownedBy("a"))
			f.claim(1, 1)
			f.queue(200, 5, ownedBy("b"))
			f.claim(3, 3)
			require.NoError(t, f.Release(t.Context(), taskdb.Lease{ID: ID(100), Attempt: 1}))
			f.takes(100)
		},
		"owners/what is given back for later goes behind": func(t *testing.T, f *fixture) {
			f.queue(100, 3, ownedBy("a"))
			f.claim(3, 3)
			f.queue(110, 1, ownedBy("a"))
			for n := 102; n >= 100; n-- {
				require.NoError(t, f.Release(t.Context(), taskdb.Lease{ID: ID(n), Attempt: 1, PauseMillis: 5}))
			}
			f.clock.Advance(5 * time.Millisecond)
			f.queue(200, 2, ownedBy("b"))
			f.takes(110, 200, 102, 201)
			// Without a pause it keeps the turn that it has got so.
			require.NoError(t, f.Release(t.Context(), taskdb.Lease{ID: ID(102), Attempt: 2}))
			f.queue(120, 1, ownedBy("a"))
			f.takes(102, 101, 100, 120)
		},
		"owners/a retry goes behind": func(t *testing.T, f *fixture) {
			f.queue(100, 3, ownedBy("a"))
			for _, task := range f.claim(3, 3) {
				_, err := f.Fail(t.Context(), task.ID, failing(1, false))
				require.NoError(t, err)
			}
			f.queue(110, 2, ownedBy("a"))
			f.queue(200, 2, ownedBy("b"))
			for n := 100; n < 103; n++ {
				_, err := f.Retry(t.Context(), ID(n))
				require.NoError(t, err)
			}
			f.takes(110, 200, 111, 201, 100, 101, 102)
		},
		"owners/a repeat says whose it is": func(t *testing.T, f *fixture) {
			f.queue(1, 1, ownedBy("a"))
			require.Equal(t, "a", f.get(1).Owner)
			f.queue(1, 1, ownedBy("a"))
			_, err := f.Create(t.Context(), New(1))
			f.refused(err, fault.Conflict, taskdb.NotStarted)
		},
		"queue/malformed": func(t *testing.T, f *fixture) {
			at := f.clock.Now()
			for name, spoil := range map[string]func(*taskdb.NewTask){
				"lane":   func(n *taskdb.NewTask) { n.Lane = "fast" },
				"long":   func(n *taskdb.NewTask) { n.Owner = strings.Repeat("x", taskdb.MaxOwner+1) },
				"owner":  func(n *taskdb.NewTask) { n.Owner = "a\x00" },
				"delay":  func(n *taskdb.NewTask) { n.DelayMillis = -1 },
				"delays": func(n *taskdb.NewTask) { n.DelayMillis = taskdb.MaxAhead.Milliseconds() + 1 },
				"time":   func(n *taskdb.NewTask) { n.NotBefore = at.Add(taskdb.MaxAhead + time.Second) },
				"both":   func(n *taskdb.NewTask) { n.NotBefore, n.DelayMillis = at.Add(time.Hour), 1 },
			} {
				n := New(1)
				spoil(&n)
				_, err := f.Create(t.Context(), n)
				require.Equal(t, fault.Invalid, fault.KindOf(err), "%s: %v", name, err)
				require.NotEmpty(t, fault.As(err).Field, name)
			}
			f.claim(1, 0)
			_, err := f.ListOwned(t.Context(), "a\x00", taskdb.Failed, "", 0)
			f.refused(err, fault.Invalid)
			_, err = f.RetryFailed(t.Context(), "a\x00", "", 0)
			f.refused(err, fault.Invalid)
			_, err = f.RetryFailed(t.Context(), "", "", taskdb.MaxPage+1)
			f.refused(err, fault.Invalid)
		},
	}
}

func lanes(t *testing.T, f *fixture) {
	f.queue(100, 10, func(n *taskdb.NewTask) { n.Lane = taskdb.Batch })
	f.queue(1, 40, nil)
	require.Equal(t, taskdb.Batch, f.get(100).Lane)
	passed, most := 0, 0
	for range 40 {
		if inBatch(f.claim(1, 1)) == 1 {
			passed, most = 0, max(most, passed)
			continue
		}
		passed++
		require.Less(t, passed, taskdb.BatchShare, "batch must not starve")
	}
	require.Equal(t, taskdb.BatchShare-1, most, "nor take more than its share")
	require.Equal(t, 5, inBatch(f.claim(20, 10)))
}

// queue makes some tasks, the first one the n-th, a moment after each other.
func (f *fixture) queue(n, many int, change func(*taskdb.NewTask)) {
	f.Helper()
	for i := range many {
		task := New(n + i)
		if change != nil {
			change(&task)
		}
		_, err := f.Create(f.Context(), task)
		require.NoError(f, err)
		f.clock.Advance(time.Millisecond)
	}
}

func ownedBy(owner string) func(*taskdb.NewTask) {
	return func(n *taskdb.NewTask) { n.Owner = owner }
}

// takes claims one after the other and expects these.
func (f *fixture) takes(want ...int) {
	f.Helper()
	var got []string
	for range want {
		got = append(got, f.claim(1, 1)[0].ID)
	}
	ids := make([]string, len(want))
	for i, n := range want {
		ids[i] = ID(n)
	}
	require.Equal(f, ids, got)
}

func inBatch(tasks []taskdb.Task) (n int) {
	for _, t := range tasks {
		if t.Lane == taskdb.Batch {
			n++
		}
	}
	return n
}

// Backlog is the owner of the many tasks that [Fair] looks beyond.
const Backlog = "o0"

// Fair has a store of which one owner, [Backlog], has queued very many tasks, and
// lets that one queue more and another one a single task, while workers hold as many
// as there are workers. It checks how many more are handed out before that one: none
// but what the bound allows.
func Fair(t *testing.T, s taskdb.Store) {
	t.Helper()
	const workers = 8
	FillOwned(t, s, 100, func(uint64) string { return Backlog })
	claim := func() taskdb.Task {
		tasks, err := s.Claim(t.Context(), taskdb.Claim{Worker: "w", Max: 1})
		require.NoError(t, err)
		require.Len(t, tasks, 1)
		return tasks[0]
	}
	var held []taskdb.Task
	work := func() taskdb.Task { // one worker ends its task and takes another
		if len(held) == workers {
			_, err := s.Finish(t.Context(), held[0].ID, result(held[0].Attempt))
			require.NoError(t, err)
			held = held[1:]
		}
		held = append(held, claim())
		return held[len(held)-1]
	}
	for range 5 * workers {
		require.Equal(t, Backlog, work().Owner)
	}
	n := Fresh(1 << 40)
	n.Owner = "b"
	_, err := s.Create(t.Context(), n)
	require.NoError(t, err)
	// Each worker takes a task in its mean time, so that in the mean time of two
	// tasks, times the workers, so many begin; a turn for each owner is far fewer.
	const bound = 2 * workers * workers
	for begun := 1; ; begun++ {
		require.LessOrEqual(t, begun, bound, "the newcomer waits")
		if work().Owner == "b" {
			t.Logf("the newcomer's task was begun as number %d", begun)
			require.LessOrEqual(t, begun, workers, "one turn each")
			return
		}
	}
}
