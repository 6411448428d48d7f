//go:build unix

package discovery_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery"
)

const (
	troubleRequests = 10_000
	troubleClients  = 48
)

// kinds are the requests of the test; those that are idempotent may be repeated.
func kinds() []kind {
	return []kind{
		{name: "GET", method: "GET", idempotent: true},
		{name: "POST", method: "POST"},
		{name: "PUT", method: "PUT", body: true, idempotent: true},
		{name: "POST with a key", method: "POST", body: true, key: true, idempotent: true},
		{name: "POST with a body", method: "POST", body: true},
	}
}

type kind struct {
	name, method          string
	body, key, idempotent bool
}

// send makes the request; the body is a stream, which cannot be had again. One that
// must not fail has time for a machine that stands still.
func (k kind) send(ctx context.Context, rt http.RoundTripper, id string) (int, error) {
	within := 10 * time.Second
	if k.idempotent {
		within = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var body io.Reader
	if k.body {
		body = io.NopCloser(strings.NewReader("hello"))
	}
	req, err := http.NewRequestWithContext(ctx, k.method, "http://store/work?id="+id, body)
	if err != nil {
		return 0, err
	}
	if k.key {
		req.Header.Set(discovery.IdempotencyHeader, id)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// Of ten thousand requests to five processes, of which one is killed, one stopped
// and one answers 503, no idempotent one fails, no other is carried out twice, not
// even when the stopped process goes on, and the two that are well share evenly.
func TestTroubleIsKeptFromCallers(t *testing.T) {
	f := newFleet(t, func(c *discovery.TransportConfig) {
		c.Silence, c.SetAside, c.SetAsideMax = 300*time.Millisecond, time.Second, 10*time.Second
	})
	var procs []*proc
	for range 5 {
		procs = append(procs, startProc(t))
	}
	f.publish(at("killed", procs[0].url), at("stopped", procs[1].url), at("refusing", procs[2].url),
		at("well-1", procs[3].url), at("well-2", procs[4].url))

	var sent, failed, refused atomic.Int64
	trouble := func(n int64) {
		switch n {
		case 2000:
			assert.NoError(t, procs[0].cmd.Process.Kill())
		case 3000:
			assert.NoError(t, procs[1].cmd.Process.Signal(syscall.SIGSTOP))
		case 4000:
			resp, err := http.Get(procs[2].url + "/refuse") //nolint:forbidigo // past the Transport
			if assert.NoError(t, err) {
				assert.NoError(t, resp.Body.Close())
			}
		}
	}
	var clients sync.WaitGroup
	for range troubleClients {
		clients.Go(func() {
			for n := sent.Add(1); n <= troubleRequests; n = sent.Add(1) {
				trouble(n)
				k := kinds()[n%5]
				status, err := k.send(t.Context(), f, fmt.Sprint(n))
				switch {
				case k.idempotent:
					assert.NoError(t, err, "%s %d", k.name, n)
					assert.Equal(t, 200, status, "%s %d", k.name, n)
				case err != nil:
					failed.Add(1)
				case status != 200:
					refused.Add(1)
				}
			}
		})
	}
	clients.Wait()
	// One that stands still for a moment gets less meanwhile; that passes.
	require.Eventually(t, func() bool { return f.even(procs[3], procs[4]) }, 2*time.Minute, time.Millisecond, "the healthy share evenly")
	late := procs[1].total()
	require.NoError(t, procs[1].cmd.Process.Signal(syscall.SIGCONT))
	require.Eventually(t, func() bool { return procs[1].total() > late }, time.Minute, time.Millisecond, "it goes on with what it had")
	require.Eventually(t, func() bool { return f.works("stopped", procs[1]) }, time.Minute, 10*time.Millisecond, "it is used again")
	for _, p := range procs {
		p.end()
	}
	repeated := 0
	for n := 1; n <= troubleRequests; n++ {
		times := 0
		for _, p := range procs {
			times += p.times(fmt.Sprint(n))
		}
		if k := kinds()[n%5]; k.idempotent {
			assert.Positive(t, times, "%s %d was carried out", k.name, n)
			repeated += times - 1
		} else {
			assert.LessOrEqual(t, times, 1, "%s %d must not be repeated", k.name, n)
		}
	}
	t.Logf("%d requests: of those that must not be repeated %d failed and %d were refused; %d idempotent ones were repeated; the healthy took %d and %d",
		troubleRequests, failed.Load(), refused.Load(), repeated, procs[3].total(), procs[4].total())
}

// even tells whether two instances that work share many requests evenly.
func (f *fleet) even(a, b *proc) bool {
	const round = 2000
	first, second := a.total(), b.total()
	var left atomic.Int64
	left.Store(round)
	var clients sync.WaitGroup
	for range troubleClients {
		clients.Go(func() {
			for left.Add(-1) >= 0 {
				_, err := kinds()[0].send(f.t.Context(), f, "even")
				assert.NoError(f.t, err)
			}
		})
	}
	clients.Wait()
	first, second = a.total()-first, b.total()-second
	mean := float64(first+second) / 2
	return mean > round/3 && math.Abs(float64(first)-mean) < mean/10
}

// works tells whether the Transport gives the process requests.
func (f *fleet) works(name string, p *proc) bool {
	before := p.total()
	_, err := kinds()[0].send(f.t.Context(), f, name)
	return err == nil && p.total() > before
}
