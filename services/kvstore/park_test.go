package kvstore

import (
	"bytes"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// parked counts the queries whose registrations call instead of waiting.
func (r *running) parked() (n int) {
	h := &r.node.fsm.kv
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, topics := range []map[string]*topic{h.keys, h.prefixes} {
		for _, t := range topics {
			n += len(t.calls)
		}
	}
	return n
}

// A parked query is answered in the same way as one that waits, to the header.
func TestParkedAnswers(t *testing.T) {
	long := bytes.Repeat([]byte("long "), 1000)
	for _, target := range []string{
		"/v1/kv/dir/a?", "/v1/kv/dir/a?raw&", "/v1/kv/dir/?recurse&", "/v1/kv/dir/?keys&", "/v1/kv/dir/a?pretty&",
		"/v1/kv/dir/a?stale&", "/v1/kv/dir/a?consistent&",
	} {
		t.Run(target, func(t *testing.T) {
			var got [2]reply
			for i, start := range []starter{start, startParking} {
				r := start(t, MemConfig())
				p := r.put("dir/a", "1")
				answer := r.block(target, p.ModifyIndex)
				r.waiting(1)
				if i == 1 {
					eventually(t, func() bool { return r.parked() == 1 })
				}
				r.put("dir/a", string(long))
				got[i] = <-answer
				assert.NotEmpty(t, got[i].header.Get("X-Request-Id"))
				for _, k := range []string{"X-Request-Id", "Date", "Content-Length"} {
					got[i].header.Del(k) // which a long answer of net/http is without
				}
			}
			assert.Equal(t, http.StatusOK, got[0].status)
			assert.Equal(t, got[0], got[1])
		})
	}
}

// A query is parked once more where a change has brought nothing that it asked
// for, and its connection serves on.
func TestParkedAgain(t *testing.T) {
	r := startParking(t, MemConfig())
	p := r.put("k", "v")
	for i := range 3 {
		answer := r.block("/v1/kv/k?", p.ModifyIndex)
		for range 5 {
			eventually(t, func() bool { return r.parked() == 1 })
			r.node.fsm.kv.wakeAll()
		}
		eventually(t, func() bool { return r.parked() == 1 })
		p = r.put("k", strconv.Itoa(i)) // the same value again would be no change
		assert.Equal(t, strconv.FormatUint(p.ModifyIndex, 10), (<-answer).header.Get("X-Consul-Index"))
	}
	r.waiting(0)
}

// What cannot be parked waits where it came in.
func TestNotParked(t *testing.T) {
	r := startParking(t, MemConfig())
	p := r.put("k", "v")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/v1/kv/k?index="+strconv.FormatUint(p.ModifyIndex, 10), nil)
	require.NoError(t, err)
	req.Close = true
	answer := make(chan int, 1)
	go func() {
		resp, err := r.http.Do(req)
		if err != nil {
			answer <- 0
			return
		}
		_ = resp.Body.Close()
		answer <- resp.StatusCode
	}()
	r.waiting(1)
	assert.Zero(t, r.parked())
	r.put("k", "w")
	assert.Equal(t, http.StatusOK, <-answer)
}
