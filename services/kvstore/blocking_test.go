package kvstore

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// waiting polls until that many keys and prefixes are waited for.
func (r *running) waiting(n int) {
	r.t.Helper()
	eventually(r.t, func() bool { return r.node.fsm.kv.size()+r.node.fsm.sessions.size() == n })
}

// block starts a blocking query and gives what it will answer.
func (r *running) block(target string, index uint64) <-chan reply {
	out := make(chan reply, 1)
	go func() {
		got, err := r.try(context.Background(), "GET", target+"&index="+strconv.FormatUint(index, 10), nil)
		if err == nil {
			out <- got
		}
		close(out)
	}()
	return out
}

// bothWays runs a test with queries that wait where they come in, and with such
// that are parked at once.
func bothWays(t *testing.T, test func(t *testing.T, start starter)) {
	t.Run("waiting", func(t *testing.T) { test(t, start) })
	t.Run("parked", func(t *testing.T) { test(t, startParking) })
}

type starter func(testing.TB, Config) *running

// startParking runs a service that parks each query as soon as it has to wait.
func startParking(t testing.TB, cfg Config) *running {
	t.Helper()
	cfg.HTTP.Grace = time.Minute // as start does
	s, err := New(cfg, Deps{Log: quiet(), Version: "test"})
	require.NoError(t, err)
	s.parkAfter = 0
	return run(t, s)
}

func TestBlockingWakes(t *testing.T) { bothWays(t, testBlockingWakes) }

func testBlockingWakes(t *testing.T, start starter) {
	for _, tc := range []struct {
		name, target string
		change       func(r *running)
		status       int
	}{
		{"key set", "/v1/kv/dir/a?", func(r *running) { r.put("dir/a", "new") }, 200},
		{"key deleted", "/v1/kv/dir/a?", func(r *running) { r.do("DELETE", "/v1/kv/dir/a", nil) }, 404},
		{"tree deleted", "/v1/kv/dir/a?", func(r *running) { r.do("DELETE", "/v1/kv/di?recurse", nil) }, 404},
		{"everything deleted", "/v1/kv/dir/a?", func(r *running) { r.do("DELETE", "/v1/kv/?recurse", nil) }, 404},
		{"missing key set", "/v1/kv/dir/none?", func(r *running) { r.put("dir/none", "new") }, 200},
		{"prefix: key added", "/v1/kv/dir/?recurse", func(r *running) { r.put("dir/c", "new") }, 200},
		{"prefix: key deleted", "/v1/kv/dir/?recurse", func(r *running) { r.do("DELETE", "/v1/kv/dir/b", nil) }, 200},
		{"prefix: deleted with a wider one", "/v1/kv/dir/?recurse", func(r *running) { r.do("DELETE", "/v1/kv/d?recurse", nil) }, 404},
		{"prefix: emptied", "/v1/kv/dir/?recurse", func(r *running) { r.do("DELETE", "/v1/kv/dir/?recurse", nil) }, 404},
		{"empty prefix: key added", "/v1/kv/empty/?keys", func(r *running) { r.put("empty/x", "new") }, 200},
		{"all keys", "/v1/kv/?keys", func(r *running) { r.put("zzz", "new") }, 200},
		{"sessions", "/v1/session/list?", func(r *running) { r.session("release", "") }, 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := start(t, MemConfig())
			r.session("release", "")
			r.put("dir/a", "1")
			r.put("dir/b", "2")
			r.put("other", "3")
			index, err := strconv.ParseUint(r.do("GET", tc.target, nil).header.Get("X-Consul-Index"), 10, 64)
			require.NoError(t, err)
			answer := r.block(tc.target, index)
			r.waiting(1)
			tc.change(r)
			got := <-answer
			assert.Equal(t, tc.status, got.status)
			next, err := strconv.ParseUint(got.header.Get("X-Consul-Index"), 10, 64)
			require.NoError(t, err)
			assert.Greater(t, next, index)
			r.waiting(0)
		})
	}
}

// What changes elsewhere wakes nobody, though it moves the store's index.
func TestBlockingSleepsThroughOthers(t *testing.T) { bothWays(t, testBlockingSleepsThroughOthers) }

func testBlockingSleepsThroughOthers(t *testing.T, start starter) {
	r := start(t, MemConfig())
	r.put("dir/a", "1")
	targets := []string{"/v1/kv/dir/a?", "/v1/kv/dir/?recurse", "/v1/kv/none?", "/v1/kv/none/?keys", "/v1/session/list?"}
	var answers []<-chan reply
	for _, target := range targets {
		index, err := strconv.ParseUint(r.do("GET", target, nil).header.Get("X-Consul-Index"), 10, 64)
		require.NoError(t, err)
		answers = append(answers, r.block(target+"&wait=10m", index))
	}
	r.waiting(len(targets))
	for i := range 20 {
		r.put(fmt.Sprintf("other/%d", i), "x")
		r.do("DELETE", fmt.Sprintf("/v1/kv/other/%d", i), nil)
	}
	r.do("DELETE", "/v1/kv/other/?recurse", nil)
	r.waiting(len(targets)) // nobody has even looked again
	r.stop()                // which answers them
	for i, answer := range answers {
		got := <-answer
		assert.NotZero(t, got.status, targets[i])
	}
}

func TestBlockingEndsWithItsWait(t *testing.T) { bothWays(t, testBlockingEndsWithItsWait) }

func testBlockingEndsWithItsWait(t *testing.T, start starter) {
	r := start(t, MemConfig())
	p := r.put("k", "v")
	begun := time.Now()
	got := r.do("GET", fmt.Sprintf("/v1/kv/k?index=%d&wait=100ms", p.ModifyIndex), nil)
	took := time.Since(begun)
	assert.Equal(t, 200, got.status)
	assert.Equal(t, strconv.FormatUint(p.ModifyIndex, 10), got.header.Get("X-Consul-Index"))
	assert.GreaterOrEqual(t, took, 100*time.Millisecond)
	assert.Less(t, took, time.Minute, "it is not the wait that is the default")

	req := httptest.NewRequest(http.MethodGet, "/", nil)
	c := &call{r: req, q: map[string][]string{"wait": {"1h"}}}
	q, err := c.readQuery()
	require.NoError(t, err)
	assert.GreaterOrEqual(t, q.wait, maxWait)
	assert.LessOrEqual(t, q.wait, maxWait+maxWait/waitJitter)
	c = &call{r: req}
	q, err = c.readQuery()
	require.NoError(t, err)
	assert.GreaterOrEqual(t, q.wait, defaultWait)
}

// An index from the future belongs to another store's life.
func TestBlockingAnswersIndexFromTheFuture(t *testing.T) {
	r := start(t, MemConfig())
	empty := r.do("GET", "/v1/kv/?keys", nil)
	assert.Equal(t, "1", empty.header.Get("X-Consul-Index"))
	waits := r.block("/v1/kv/?keys", 1) // the index it has just been given is no future one
	r.waiting(1)
	p := r.put("k", "v")
	assert.Equal(t, 200, (<-waits).status)
	got := r.do("GET", "/v1/kv/k?index=1000000", nil)
	assert.Equal(t, strconv.FormatUint(p.ModifyIndex, 10), got.header.Get("X-Consul-Index"))
}

func TestBlockingEndsWhenTheServerDrains(t *testing.T) {
	bothWays(t, testBlockingEndsWhenTheServerDrains)
}

func testBlockingEndsWhenTheServerDrains(t *testing.T, start starter) {
	r := start(t, MemConfig())
	p := r.put("k", "v")
	answer := r.block("/v1/kv/k?", p.ModifyIndex)
	r.waiting(1)
	begun := time.Now()
	r.stop()
	assert.Equal(t, 200, (<-answer).status, "it is answered, not cut off")
	assert.Less(t, time.Since(begun), 45*time.Second, "before the grace time is over")
	assert.Zero(t, r.node.fsm.kv.size())
}

func TestBlockingEndsWhenTheClientLeaves(t *testing.T) {
	bothWays(t, testBlockingEndsWhenTheClientLeaves)
}

func testBlockingEndsWhenTheClientLeaves(t *testing.T, start starter) {
	r := start(t, MemConfig())
	p := r.put("k", "v")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := r.try(ctx, "GET", fmt.Sprintf("/v1/kv/k?index=%d", p.ModifyIndex), nil)
		done <- err
	}()
	r.waiting(1)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	r.waiting(0)
}

// A thousand watchers of one prefix wake at its change; a thousand others sleep on.
func TestFanOut(t *testing.T) { bothWays(t, testFanOut) }

func testFanOut(t *testing.T, start starter) {
	r := start(t, MemConfig())
	r.put("hot/k", "0")
	r.put("cold/k", "0")
	index := r.get("cold/k").ModifyIndex
	const each = 1000
	var woken, slept atomic.Int32
	var hot, cold sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	for range each {
		hot.Add(1)
		cold.Add(1)
		go func() {
			defer hot.Done()
			got, err := r.try(ctx, "GET", fmt.Sprintf("/v1/kv/hot/?recurse&index=%d", index), nil)
			if err == nil && got.status == 200 {
				woken.Add(1)
			}
		}()
		go func() {
			defer cold.Done()
			_, err := r.try(ctx, "GET", fmt.Sprintf("/v1/kv/cold/?recurse&index=%d", index), nil)
			if err != nil {
				slept.Add(1)
			}
		}()
	}
	eventually(t, func() bool { return r.waiters("hot/") == each && r.waiters("cold/") == each })
	asleep := r.topic("cold/")
	r.put("hot/k", "1")
	hot.Wait()
	assert.EqualValues(t, each, woken.Load())
	// Had they been woken, they would have lain down again on another topic.
	assert.Same(t, asleep, r.topic("cold/"), "none of the others was woken")
	assert.Equal(t, each, r.waiters("cold/"))
	cancel()
	cold.Wait()
	assert.EqualValues(t, each, slept.Load())
	r.waiting(0)
}

// waiters counts those who wait for a prefix.
func (r *running) waiters(prefix string) int {
	h := &r.node.fsm.kv
	h.mu.Lock()
	defer h.mu.Unlock()
	if tp := h.prefixes[prefix]; tp != nil {
		return tp.waiters
	}
	return 0
}

// topic is what those who wait for a prefix share now.
func (r *running) topic(prefix string) *topic {
	h := &r.node.fsm.kv
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.prefixes[prefix]
}

// A watcher that follows the index sees the last value of every burst.
func TestWatcherMissesNothing(t *testing.T) { bothWays(t, testWatcherMissesNothing) }

func testWatcherMissesNothing(t *testing.T, start starter) {
	r := start(t, MemConfig())
	const last = 300
	seen := make(chan int, 1)
	go func() {
		var index uint64
		value := 0
		for value < last {
			p, meta, err := r.client.KV().Get("counter", &api.QueryOptions{WaitIndex: index})
			if err != nil {
				break
			}
			index = meta.LastIndex
			if p != nil {
				n, err := strconv.Atoi(string(p.Value))
				if err != nil || n < value {
					break // went backwards
				}
				value = n
			}
		}
		seen <- value
	}()
	for i := 1; i <= last; i++ {
		_, err := r.client.KV().Put(&api.KVPair{Key: "counter", Value: []byte(strconv.Itoa(i))}, nil)
		require.NoError(t, err)
	}
	assert.Equal(t, last, <-seen)
}

func TestHub(t *testing.T) {
	var h hub
	woken := func(w *waiter) bool {
		select {
		case <-w.changed():
			return true
		default:
			return false
		}
	}
	key, prefix, all, other := h.watch("a/b", false), h.watch("a/", true), h.watch("", true), h.watch("b", true)
	h.wake([]string{"a/c"})
	assert.False(t, woken(key))
	assert.True(t, woken(prefix))
	assert.True(t, woken(all))
	assert.False(t, woken(other))
	again := h.watch("a/", true)
	prefix.leave() // must not take the new registration along
	h.wake([]string{"a/b"})
	assert.True(t, woken(key))
	assert.True(t, woken(again))
	h.wakeAll()
	assert.True(t, woken(other))
	for _, w := range []*waiter{key, all, other, again} {
		w.leave()
	}
	assert.Zero(t, h.size())
	assert.Empty(t, h.lengths)
	h.watch("x", true).leave()
	assert.Empty(t, h.lengths)
}
