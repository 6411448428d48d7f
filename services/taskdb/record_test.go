package taskdb_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/taskdbtest"
)

func records(n int) []taskdb.Record {
	all := make([]taskdb.Record, n)
	for i := range all {
		task := taskdbtest.New(i)
		all[i] = taskdb.Record{Create: &task}
	}
	return all
}

func TestWrongNumbersOfRecords(t *testing.T) {
	c, _ := newCaller(t)
	for _, body := range []string{`{}`, `{"records":[]}`, `{"records":[` + strings.Repeat("{},", 64) + `{}]}`} {
		require.Contains(t, c.call("POST", "/records", body, 400), `"field":"records"`)
	}
	require.Contains(t, c.call("POST", "/records", `{"records":[{"colour":1}]}`, 400), "colour")
	require.Contains(t, c.call("POST", "/records", `{"records":[{}]}`, 200), `"status":400`)
}

// counted counts the requests by path on their way to a store, which does not
// know the path refuse.
func counted(t *testing.T, refuse string) (taskdb.Recorder, func() map[string]int) {
	t.Helper()
	cfg := taskdbtest.Config()
	base, hc := serveStore(t, cfg, taskdb.NewMemory(cfg, taskdb.MemoryDeps{}))
	var mu sync.Mutex
	paths := map[string]int{}
	next := hc.Transport
	hc.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		paths[r.URL.Path]++
		mu.Unlock()
		if r.URL.Path == refuse {
			r.URL.Path = "/no-such-route"
		}
		return next.RoundTrip(r)
	})
	return taskdb.NewClient(base, hc), func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return paths
	}
}

func TestRecordsTravelTogether(t *testing.T) {
	c, paths := counted(t, "")
	require.Equal(t, make([]error, 64), c.Record(t.Context(), records(64)...))
	require.Equal(t, map[string]int{"/records": 1}, paths())
	require.Equal(t, make([]error, 65), c.Record(t.Context(), records(65)...), "more than the contract allows go in two calls")
	require.Equal(t, map[string]int{"/records": 3}, paths())
}

// During an upgrade the taskdb may be of a version that does not know the route.
func TestAnOlderTaskdbGetsOneCallForEach(t *testing.T) {
	c, paths := counted(t, "/records")
	require.Equal(t, make([]error, 3), c.Record(t.Context(), records(3)...))
	require.Equal(t, map[string]int{"/records": 1, "/tasks": 3}, paths())
}

func TestAnAnswerWithoutAllOutcomesIsNone(t *testing.T) {
	for _, body := range []string{`{}`, `{"outcomes":[{}]}`, `{"outcomes":[{},{},{}]}`, `[`} {
		c := taskdb.NewClient("http://taskdb", &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body))}, nil
		})})
		got := c.Record(t.Context(), records(2)...)
		require.Len(t, got, 2)
		for _, err := range got {
			require.Equal(t, fault.Unavailable, fault.KindOf(err), "%s: %v", body, err)
		}
	}
}
