package imagemaster_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// answering is a RoundTripper that answers by path, and counts.
type answering struct {
	mu    sync.Mutex
	paths map[string]int
	body  map[string]string // without one: 404
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.paths[r.URL.Path]++
	resp := &http.Response{StatusCode: 404, Body: http.NoBody, Header: http.Header{}, Request: r}
	if body, ok := a.body[r.URL.Path]; ok {
		resp.StatusCode, resp.Body = 200, io.NopCloser(strings.NewReader(body))
		if body == "" {
			resp.StatusCode = 204
		}
	}
	return resp, nil
}

func twoResults() []imagemaster.FinishedWork {
	return []imagemaster.FinishedWork{{ID: "a", Result: taskdb.Result{Attempt: 1}}, {ID: "b", Result: taskdb.Result{Attempt: 2}}}
}

// During an upgrade the master may be of a version that does not know the route.
func TestAnOlderMasterGetsOneCallForEach(t *testing.T) {
	rt := &answering{paths: map[string]int{}, body: map[string]string{"/workFinished": ""}}
	c := imagemaster.NewClient("http://imagemaster", &http.Client{Transport: rt})
	require.Equal(t, []error{nil, nil}, c.AllFinished(t.Context(), twoResults()...))
	require.Equal(t, map[string]int{"/workFinished/all": 1, "/workFinished": 2}, rt.paths)
}

func TestAnAnswerWithoutAllOutcomesIsNone(t *testing.T) {
	for _, body := range []string{`{}`, `{"outcomes":[{}]}`, `{"outcomes":[{},{},{}]}`, `[`} {
		rt := &answering{paths: map[string]int{}, body: map[string]string{"/workFinished/all": body}}
		c := imagemaster.NewClient("http://imagemaster", &http.Client{Transport: rt})
		for _, err := range c.AllFinished(t.Context(), twoResults()...) {
			require.Equal(t, fault.Unavailable, fault.KindOf(err), "%s: %v", body, err)
		}
	}
}

func TestWrongNumbersOfResults(t *testing.T) {
	tasks := taskdb.NewMemory(taskdb.DefaultConfig(), taskdb.MemoryDeps{})
	_, url := overHTTP(t, newService(t, testConfig(), testDeps(tasks, storage.NewMem(), events.NewMemory())))
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	hc := &http.Client{Transport: tr}
	for _, body := range []string{`{}`, `{"finished":[]}`, `{"finished":[` + strings.Repeat("{},", 16) + `{}]}`} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/workFinished/all", strings.NewReader(body))
		require.NoError(t, err)
		resp, err := hc.Do(req)
		require.NoError(t, err)
		data, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 400, resp.StatusCode)
		require.Contains(t, string(data), `"field":"finished"`)
	}
}
