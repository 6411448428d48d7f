package taskdbtest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

func repeatCases() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"idempotency/the same upload again": sameUpload,
		"idempotency/another upload":        otherUpload,
		"idempotency/the key goes with the task": func(t *testing.T, f *fixture) {
			keyed(t, f, 1, "k")
			_, err := f.Delete(t.Context(), ID(1))
			require.NoError(t, err)
			require.Equal(t, ID(2), keyed(t, f, 2, "k").ID)
			require.Equal(t, ID(2), keyed(t, f, 3, "k").ID)
		},
		"idempotency/records":                recordedRepeats,
		"idempotency/one of many, all alike": keyRace,
		"idempotency/long and strange keys": func(t *testing.T, f *fixture) {
			for i, key := range []string{strings.Repeat("k", 255), "é <&> '\"", " "} {
				require.Equal(t, ID(10*i), keyed(t, f, 10*i, key).ID)
				require.Equal(t, ID(10*i), keyed(t, f, 10*i+1, key).ID)
				require.Equal(t, key, f.get(10*i).IdempotencyKey)
			}
			for _, key := range []string{strings.Repeat("k", 256), "a\x00b", "\xff"} {
				n := New(1)
				n.IdempotencyKey = key
				if key == "\xff" && strings.Contains(fmt.Sprintf("%T", f.Store), "Client") {
					continue // JSON cannot say it
				}
				_, err := f.Create(t.Context(), n)
				f.refused(err, fault.Invalid)
				require.Equal(t, "idempotencyKey", fault.As(err).Field)
			}
		},
	}
}

// keyed creates the n-th task with a key, of the bytes and the pipeline of all, and
// gives what came of it.
func keyed(t *testing.T, f *fixture, n int, key string) taskdb.Task {
	t.Helper()
	task := New(n)
	task.IdempotencyKey = key
	got, err := f.Create(t.Context(), task)
	require.NoError(t, err)
	return got
}

func sameUpload(t *testing.T, f *fixture) {
	first := keyed(t, f, 1, "k")
	require.Equal(t, "k", first.IdempotencyKey)
	f.heardOnly(events.Event{Kind: events.Queued, TaskID: ID(1), State: "notStarted"})
	require.Equal(t, first, keyed(t, f, 1, "k"), "under its own ID")
	require.Equal(t, first, keyed(t, f, 2, "k"), "under another one")
	_, err := f.Get(t.Context(), ID(2))
	f.refused(err, fault.NotFound)
	require.Equal(t, ID(3), keyed(t, f, 3, "other").ID)
	f.create(4)
	f.create(5) // those without a key have nothing in common
	f.heard.Take()

	f.claim(1, 1)
	f.heard.Take()
	require.Equal(t, f.get(1), keyed(t, f, 6, "k"), "as it is now")
	_, err = f.Finish(t.Context(), ID(1), result(1))
	require.NoError(t, err)
	f.heard.Take()
	require.Equal(t, f.get(1), keyed(t, f, 7, "k"))
	require.Empty(t, f.heard.Take(), "a repeat is no news")
	st, err := f.Stats(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, st.States[taskdb.NotStarted])
}

func otherUpload(t *testing.T, f *fixture) {
	first := keyed(t, f, 1, "k")
	f.heard.Take()
	for name, change := range map[string]func(*taskdb.NewTask){
		"bytes":    func(n *taskdb.NewTask) { n.Original.SHA256 = strings.Repeat("a0", 32) },
		"pipeline": func(n *taskdb.NewTask) { n.Pipeline = []byte(`{"renditions":[]}`) },
	} {
		n := New(2)
		n.IdempotencyKey = "k"
		change(&n)
		_, err := f.Create(t.Context(), n)
		f.refused(err, fault.Unprocessable)
		require.Equal(t, []string{"Idempotency-Key", ID(1)}, []string{fault.As(err).Field, fault.As(err).ID}, name)
		n.ID = ID(1)
		_, err = f.Create(t.Context(), n)
		f.refused(err, fault.Conflict)
	}
	require.Equal(t, first, f.get(1))
	require.Empty(t, f.heard.Take())
}

// recordedRepeats tells repeats by their outcomes.
func recordedRepeats(t *testing.T, f *fixture) {
	n := make([]taskdb.NewTask, 4)
	for i := range n {
		n[i] = New(i + 1)
		n[i].IdempotencyKey = "k"
	}
	n[2].Original.Size++
	n[3].IdempotencyKey = "other"
	require.Equal(t, []error{nil}, f.recorder().Record(t.Context(), creation(n[0])))
	got := f.recorder().Record(t.Context(), creation(n[0]), creation(n[1]), creation(n[2]), creation(n[3]))
	require.NoError(t, got[0])
	id, ok := taskdb.Repeated(n[1], got[1])
	require.True(t, ok, "%v", got[1])
	require.Equal(t, ID(1), id)
	_, ok = taskdb.Repeated(n[2], got[2])
	require.False(t, ok)
	f.refused(got[2], fault.Unprocessable)
	require.NoError(t, got[3])
	clash := n[0]
	clash.Original.Size++
	err := f.recorder().Record(t.Context(), creation(clash))[0]
	f.refused(err, fault.Conflict)
	_, ok = taskdb.Repeated(clash, err)
	require.False(t, ok, "its own ID is taken")
}

// keyRace has many bring the same few uploads, each under an ID of its own: of each
// there is one task, and all are told of that.
func keyRace(t *testing.T, f *fixture) {
	const keys, callers = 5, 16
	var mu sync.Mutex
	told := map[string]map[string]bool{}
	together(callers, func(i int) {
		for k := range keys {
			key := fmt.Sprintf("key %d", (i+k)%keys) // in all orders
			n := New(100*i + k)
			n.IdempotencyKey = key
			got, err := f.Create(t.Context(), n)
			if !assert.NoError(t, err) {
				return
			}
			mu.Lock()
			if told[key] == nil {
				told[key] = map[string]bool{}
			}
			told[key][got.ID] = true
			mu.Unlock()
		}
	})
	require.Len(t, told, keys)
	for key, ids := range told {
		require.Len(t, ids, 1, key)
	}
	require.Len(t, f.heard.Take(), keys)
	f.claim(64, keys)
}
