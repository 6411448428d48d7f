package taskdbtest

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

func createCases() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"create/records": func(t *testing.T, f *fixture) {
			got := f.create(1)
			n := New(1)
			now := taskdb.Stamp(f.clock.Now())
			require.Equal(t, taskdb.Task{
				ID: n.ID, State: taskdb.NotStarted, Pipeline: n.Pipeline, Original: n.Original, Created: now, Updated: now,
			}, got)
			require.Equal(t, got, f.get(1))
			f.heardOnly(events.Event{Kind: events.Queued, TaskID: ID(1), State: "notStarted"})
		},
		"create/repeat changes nothing": func(t *testing.T, f *fixture) {
			first := f.create(1)
			f.heard.Take()
			f.clock.Advance(time.Minute)
			n := New(1)
			n.Pipeline = []byte("{ \"renditions\" :\n[{\"name\":\"main\"}]}") // the same, but for spaces
			got, err := f.Create(t.Context(), n)
			require.NoError(t, err)
			require.Equal(t, first, got)
			require.Empty(t, f.heard.Take())
		},
		"create/repeat of a claimed task gives it as it is": func(t *testing.T, f *fixture) {
			held := f.held(1)
			require.Equal(t, held, f.create(1))
			require.Empty(t, f.heard.Take())
		},
		"create/other content": func(t *testing.T, f *fixture) {
			f.create(1)
			n := New(1)
			n.Original.Size++
			_, err := f.Create(t.Context(), n)
			f.refused(err, fault.Conflict, taskdb.NotStarted)
			n = New(1)
			n.Pipeline = []byte(`{"renditions":[]}`)
			_, err = f.Create(t.Context(), n)
			f.refused(err, fault.Conflict, taskdb.NotStarted)
			require.EqualValues(t, 1234, f.get(1).Original.Size)
		},
		"create/malformed":                   malformed,
		"create/unknown tasks are not found": notFound,
		"create/a pipeline with markup comes back the same": func(t *testing.T, f *fixture) {
			n := New(1)
			n.Pipeline = []byte(`{"name":"<&>"}`)
			_, err := f.Create(t.Context(), n)
			require.NoError(t, err)
			require.JSONEq(t, `{"name":"<&>"}`, string(f.get(1).Pipeline))
			_, err = f.Create(t.Context(), n)
			require.NoError(t, err)
		},
	}
}

func malformed(t *testing.T, f *fixture) {
	for name, spoil := range map[string]func(*taskdb.NewTask){
		"no id":          func(n *taskdb.NewTask) { n.ID = "" },
		"id":             func(n *taskdb.NewTask) { n.ID = "../../etc" },
		"upper case":     func(n *taskdb.NewTask) { n.ID = strings.ToUpper("01890000-0000-7000-8000-00000000000a") },
		"no pipeline":    func(n *taskdb.NewTask) { n.Pipeline = nil },
		"array pipeline": func(n *taskdb.NewTask) { n.Pipeline = []byte(`[]`) },
		"long pipeline":  func(n *taskdb.NewTask) { n.Pipeline = []byte(`{"a":"` + strings.Repeat("x", 200<<10) + `"}`) },
		"pipeline text":  func(n *taskdb.NewTask) { n.Pipeline = []byte("{\"a\":\"\xff\"}") },
		"key text":       func(n *taskdb.NewTask) { n.Original.Key = "a\x00b" },
		"type text":      func(n *taskdb.NewTask) { n.Original.ContentType = "a\x00b" },
		"no key":         func(n *taskdb.NewTask) { n.Original.Key = "" },
		"size":           func(n *taskdb.NewTask) { n.Original.Size = -1 },
		"digest":         func(n *taskdb.NewTask) { n.Original.SHA256 = "abc" },
		"digest letters": func(n *taskdb.NewTask) { n.Original.SHA256 = strings.Repeat("xy", 32) },
	} {
		n := New(1)
		spoil(&n)
		_, err := f.Create(t.Context(), n)
		require.Equal(t, fault.Invalid, fault.KindOf(err), "%s: %v", name, err)
	}
	st, err := f.Stats(t.Context())
	require.NoError(t, err)
	require.Zero(t, st.States[taskdb.NotStarted])
	for _, c := range []taskdb.Claim{{Max: 1}, {Worker: "w"}, {Worker: "w", Max: taskdb.MaxClaim + 1}, {Worker: strings.Repeat("w", 201), Max: 1}, {Worker: "a\x00b", Max: 1}} {
		_, err := f.Claim(t.Context(), c)
		f.refused(err, fault.Invalid)
	}
	held := f.held(2)
	for _, p := range []float64{-0.1, 1.1} {
		_, err := f.Renew(t.Context(), taskdb.Lease{ID: held.ID, Attempt: 1}, p)
		f.refused(err, fault.Invalid)
	}
	_, err = f.Renew(t.Context(), taskdb.Lease{ID: held.ID, Attempt: 1}, math.NaN())
	f.refused(err, fault.Invalid)
	_, err = f.Fail(t.Context(), held.ID, taskdb.Failure{Attempt: 1})
	f.refused(err, fault.Invalid)
	require.Equal(t, held, f.get(2))
}

func notFound(t *testing.T, f *fixture) {
	for _, id := range []string{ID(404), "", "nonsense", "a/b?c=d"} {
		_, err := f.Get(t.Context(), id)
		f.refused(err, fault.NotFound)
		_, err = f.Cancel(t.Context(), id)
		f.refused(err, fault.NotFound)
		_, err = f.Retry(t.Context(), id)
		f.refused(err, fault.NotFound)
		_, err = f.Renew(t.Context(), taskdb.Lease{ID: id, Attempt: 1}, 0)
		f.refused(err, fault.NotFound)
		_, err = f.Finish(t.Context(), id, result(1))
		f.refused(err, fault.NotFound)
		_, err = f.Fail(t.Context(), id, failing(1, true))
		f.refused(err, fault.NotFound)
		f.refused(f.Release(t.Context(), taskdb.Lease{ID: id, Attempt: 1}), fault.NotFound)
	}
}
