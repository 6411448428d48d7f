package taskdbtest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

// recorder is the store's own way to make several writes, or the one for all.
func (f *fixture) recorder() taskdb.Recorder {
	if r, ok := f.Store.(taskdb.Recorder); ok {
		return r
	}
	return taskdb.RecorderOf(f.Store)
}

func creation(n taskdb.NewTask) taskdb.Record { return taskdb.Record{Create: &n} }

func finish(n, attempt int) taskdb.Record {
	return taskdb.Record{Finish: &taskdb.Finish{ID: ID(n), Result: result(attempt)}}
}

func recordCases() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"records/each has its own outcome": func(t *testing.T, f *fixture) { ownOutcomes(t, f, f.recorder()) },
		"records/together with others":     func(t *testing.T, f *fixture) { ownOutcomes(t, f, taskdb.NewTogether(f.recorder())) },
		"records/one alone": func(t *testing.T, f *fixture) {
			require.Equal(t, []error{nil}, f.recorder().Record(t.Context(), creation(New(1))))
			f.heardOnly(events.Event{Kind: events.Queued, TaskID: ID(1), State: "notStarted"})
		},
		"records/long ones": func(t *testing.T, f *fixture) {
			var all []taskdb.Record
			for n := range 12 {
				task := New(n)
				task.Pipeline = []byte(`{"x":"` + strings.Repeat("x", 120<<10) + `"}`)
				all = append(all, creation(task))
			}
			require.Equal(t, make([]error, 12), f.recorder().Record(t.Context(), all...))
			for n := range 12 {
				require.Greater(t, len(f.get(n).Pipeline), 120<<10)
			}
		},
		"records/many callers": manyRecords,
	}
}

// ownOutcomes has good and bad writes side by side.
func ownOutcomes(t *testing.T, f *fixture, r taskdb.Recorder) {
	f.held(1)
	f.held(2)
	other, wrong := New(2), New(3)
	other.Original.Size++
	wrong.ID = "three"
	got := r.Record(t.Context(),
		creation(New(4)), finish(1, 1), creation(other), finish(2, 7), finish(5, 1), creation(wrong), taskdb.Record{},
		taskdb.Record{Create: creation(New(6)).Create, Finish: finish(2, 1).Finish})
	require.Len(t, got, 8)
	require.Equal(t, []error{nil, nil}, got[:2])
	f.refused(got[2], fault.Conflict, taskdb.InProgress)
	f.refused(got[3], fault.Conflict, taskdb.InProgress)
	f.refused(got[4], fault.NotFound)
	f.refused(got[5], fault.Invalid)
	require.Equal(t, "id", fault.As(got[5]).Field)
	f.refused(got[6], fault.Invalid)
	f.refused(got[7], fault.Invalid)
	require.Equal(t, taskdb.NotStarted, f.get(4).State)
	require.Equal(t, taskdb.Finished, f.get(1).State)
	require.Equal(t, 1, f.get(1).Result.Attempt)
	require.Equal(t, taskdb.InProgress, f.get(2).State)
	require.Len(t, f.heard.Take(), 2, "only what was changed is told")
	require.Equal(t, []error{nil, nil}, r.Record(t.Context(), finish(1, 1), creation(New(4))), "a repeat is safe")
	require.Empty(t, f.heard.Take())
}

// manyRecords lets tasks be made and ended by many at once, each task by two, of
// whom only the holder of the lease may end it.
func manyRecords(t *testing.T, f *fixture) {
	const tasks = 40
	r := taskdb.NewTogether(f.recorder())
	each := func(what func(n int) error) {
		var wg sync.WaitGroup
		for n := range tasks {
			wg.Go(func() {
				if err := what(n); err != nil {
					t.Errorf("task %d: %v", n, err)
				}
			})
		}
		wg.Wait()
	}
	each(func(n int) error { return r.Record(t.Context(), creation(New(n)))[0] })
	f.claim(tasks, tasks)
	each(func(n int) error {
		if err := r.Record(t.Context(), finish(n, 2))[0]; !fault.Is(err, fault.Conflict) {
			return fmt.Errorf("not refused: %w", err)
		}
		return r.Record(t.Context(), finish(n, 1))[0]
	})
	p, err := f.List(t.Context(), taskdb.Finished, "", 0)
	require.NoError(t, err)
	require.Len(t, p.Tasks, tasks)
}
