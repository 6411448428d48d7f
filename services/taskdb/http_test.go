package taskdb_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/taskdbtest"
)

// caller sends requests as they are, without the client's own checks.
type caller struct {
	*testing.T
	base string
	hc   *http.Client
}

func newCaller(t *testing.T) (*caller, *taskdb.Memory) {
	t.Helper()
	cfg := taskdbtest.Config()
	store := taskdb.NewMemory(cfg, taskdb.MemoryDeps{})
	base, hc := serveStore(t, cfg, store)
	return &caller{T: t, base: base, hc: hc}, store
}

// call expects a status and gives the body.
func (c *caller) call(method, path, body string, status int) string {
	c.Helper()
	req, err := http.NewRequestWithContext(c.Context(), method, c.base+path, strings.NewReader(body))
	require.NoError(c, err)
	resp, err := c.hc.Do(req)
	require.NoError(c, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(c, err)
	require.Equal(c, status, resp.StatusCode, "%s %s: %s", method, path, data)
	return string(data)
}

func (c *caller) create(n int) {
	c.Helper()
	body, err := json.Marshal(taskdbtest.New(n))
	require.NoError(c, err)
	c.call("POST", "/tasks", string(body), 201)
}

func TestLists(t *testing.T) {
	c, _ := newCaller(t)
	require.JSONEq(t, `{"ids":[]}`, c.call("GET", "/notStarted", "", 200))
	require.JSONEq(t, `{"tasks":[]}`, c.call("GET", "/tasks?state=failed", "", 200))
	for n := range 3 {
		c.create(n)
	}
	require.JSONEq(t, `{"ids":["`+taskdbtest.ID(0)+`","`+taskdbtest.ID(1)+`"],"next":"`+taskdbtest.ID(1)+`"}`,
		c.call("GET", "/notStarted?limit=2", "", 200))
	for _, path := range []string{"/inProgress", "/finished", "/failed", "/cancelled"} {
		require.JSONEq(t, `{"ids":[]}`, c.call("GET", path, "", 200))
	}
	var p taskdb.Page
	require.NoError(t, json.Unmarshal([]byte(c.call("GET", "/tasks?state=notStarted&limit=2", "", 200)), &p))
	require.Len(t, p.Tasks, 2)
	require.Equal(t, taskdbtest.ID(1), p.Next)
	for _, q := range []string{"", "?state=asleep", "?state=failed&limit=0", "?state=failed&limit=x", "?state=failed&limit=1001"} {
		c.call("GET", "/tasks"+q, "", 400)
	}
}

func TestMoves(t *testing.T) {
	c, store := newCaller(t)
	c.create(1)
	path := "/tasks/" + taskdbtest.ID(1)
	claim := func() {
		_, err := store.Claim(t.Context(), taskdb.Claim{Worker: "w", Max: 1})
		require.NoError(t, err)
	}
	move := func(body string, status int) string { return c.call("POST", path+"/state", body, status) }
	require.Contains(t, move(`{"state":"inProgress"}`, 400), "/claims")
	require.Contains(t, move(`{"state":"asleep"}`, 400), "the states are")
	claim()
	require.Contains(t, move(`{"state":"notStarted","attempt":1}`, 200), `"notStarted"`)
	claim()
	require.Contains(t, move(`{"state":"notStarted","attempt":1}`, 409), `"state":"inProgress"`)
	require.Contains(t, move(`{"state":"failed","attempt":2,"failure":{"reason":"no image"}}`, 200), `"failed"`)
	require.Contains(t, move(`{"state":"notStarted"}`, 200), `"notStarted"`)
	require.Contains(t, move(`{"state":"cancelled"}`, 200), `"cancelled"`)
	require.Contains(t, move(`{"state":"notStarted"}`, 200), `"notStarted"`)
	claim()
	move(`{"state":"finished","attempt":3}`, 400)
	move(`{"state":"failed","attempt":3}`, 400)
	move(`{"state":"finished","attempt":3,"result":{"attempt":2}}`, 400)
	require.Contains(t, move(`{"state":"finished","attempt":3,"result":{"renditions":[]}}`, 200), `"finished"`)
	move(`{"state":"cancelled"}`, 409)
}

func TestBadRequests(t *testing.T) {
	c, _ := newCaller(t)
	c.create(1)
	for _, path := range []string{"/tasks", "/claims", "/tasks/" + taskdbtest.ID(1) + "/lease"} {
		require.Contains(t, c.call("POST", path, `{"colour":1}`, 400), `"field":"colour"`)
		c.call("POST", path, `{`, 400)
		c.call("POST", path, `{"id":"`+strings.Repeat("x", 1<<20)+`"}`, 413)
	}
	c.call("GET", "/tasks/"+taskdbtest.ID(2), "", 404)
	c.call("PATCH", "/tasks/"+taskdbtest.ID(1), "", 405)
}

// roundTrip is an http.RoundTripper made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The transport may repeat what carries a key, so a claim must not.
func TestIdempotencyKeys(t *testing.T) {
	keys := map[string]string{}
	c := taskdb.NewClient("http://taskdb", &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		keys[r.Method+" "+r.URL.Path] = r.Header.Get("Idempotency-Key")
		return nil, io.ErrUnexpectedEOF
	})})
	ctx, id, lease := t.Context(), taskdbtest.ID(1), taskdb.Lease{ID: taskdbtest.ID(1), Attempt: 7}
	_, err := c.Create(ctx, taskdbtest.New(1))
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, _ = c.Finish(ctx, id, taskdb.Result{Attempt: 7})
	_, _ = c.Fail(ctx, id, taskdb.Failure{Attempt: 7, Reason: "x"})
	_, _ = c.Renew(ctx, lease, 0)
	_ = c.Release(ctx, lease)
	_, _ = c.Cancel(ctx, id)
	_, _ = c.Retry(ctx, id)
	_, _ = c.Expire(ctx)
	for _, err := range c.Record(ctx, taskdb.Record{Finish: &taskdb.Finish{ID: id}}, taskdb.Record{}) {
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
	}
	require.Len(t, keys, 9)
	seen := map[string]bool{}
	for path, key := range keys {
		require.NotEmpty(t, key, path)
		require.False(t, seen[key], "two calls share the key %s", key)
		seen[key] = true
	}
	_, _ = c.Claim(ctx, taskdb.Claim{Worker: "w", Max: 1})
	require.Empty(t, keys["POST /claims"])
}

// slow is a store whose Get never answers by itself.
type slow struct{ *taskdb.Memory }

func (slow) Get(ctx context.Context, _ string) (taskdb.Task, error) {
	<-ctx.Done()
	return taskdb.Task{}, ctx.Err()
}

func TestCallsAreBounded(t *testing.T) {
	cfg := taskdbtest.Config()
	cfg.Timeout = 20 * time.Millisecond
	base, hc := serveStore(t, cfg, slow{taskdb.NewMemory(cfg, taskdb.MemoryDeps{})})
	_, err := taskdb.NewClient(base, hc).Get(t.Context(), taskdbtest.ID(1))
	require.Equal(t, fault.DeadlineExceeded, fault.KindOf(err), "%v", err)
}
