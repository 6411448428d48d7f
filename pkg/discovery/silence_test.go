package discovery_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery"
)

// silent is short, and yet long enough for a busy machine to answer a question in.
const silent = 100 * time.Millisecond

// quick makes silence a matter of moments.
func quick(c *discovery.TransportConfig) { c.Silence, c.ProbePath = silent, "/alive" }

// hanging is an instance that answers nothing until it is told to go on, except,
// if it is alive, questions after its health.
type hanging struct {
	alive         atomic.Bool
	goOn          chan struct{}
	asked, parked atomic.Int64
}

func (h *hanging) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/alive" {
		h.asked.Add(1)
		if h.alive.Load() {
			w.WriteHeader(http.StatusNotFound) // any answer is a sign of life
			return
		}
	} else {
		h.parked.Add(1)
	}
	select {
	case <-h.goOn:
		echo(w, r)
	case <-r.Context().Done():
	}
}

// park sends a request that ends up with the hanging instance, as it is the only
// one, and gives its answer.
func (f *fleet) park(h *hanging, method string, body io.Reader, header ...string) <-chan string {
	f.t.Helper()
	answer := make(chan string, 1)
	before := h.parked.Load()
	go func() {
		_, text, err := f.do(method, body, header...)
		if err != nil {
			text = err.Error()
		}
		answer <- text
	}()
	require.Eventually(f.t, func() bool { return h.parked.Load() > before }, time.Minute, time.Millisecond)
	return answer
}

// gets is what comes, within a time that a working Transport never needs.
func gets(t *testing.T, answer <-chan string) string {
	t.Helper()
	select {
	case text := <-answer:
		return text
	case <-time.After(time.Minute):
		require.FailNow(t, "no answer")
		return ""
	}
}

func newHanging(t *testing.T, f *fleet) *hanging {
	h := &hanging{goOn: make(chan struct{})}
	f.add(h.ServeHTTP)
	t.Cleanup(func() {
		select {
		case <-h.goOn:
		default:
			close(h.goOn)
		}
	})
	return h
}

func TestWhatWaitsForAHangingInstanceGoesElsewhereIfItMay(t *testing.T) {
	f := newFleet(t, quick)
	h := newHanging(t, f)
	get := f.park(h, "GET", nil)
	put := f.park(h, "PUT", stream("hello"))
	keyed := f.park(h, "POST", stream("hello"), discovery.IdempotencyHeader)
	post := f.park(h, "POST", stream("hello"))
	big := f.park(h, "PUT", stream(strings.Repeat("b", 200<<10)))
	require.Eventually(t, func() bool { return h.asked.Load() > 2 }, time.Minute, time.Millisecond)
	assert.EqualValues(t, 5, h.parked.Load())
	assert.Empty(t, get, "there is nobody else: better to wait")

	f.add(echo)
	assert.Equal(t, "GET /x?q=1 ", gets(t, get))
	assert.Equal(t, "PUT /x?q=1 hello", gets(t, put))
	assert.Equal(t, "POST /x?q=1 hello", gets(t, keyed))
	for range 20 {
		_, text, err := f.do("POST", stream("b"))
		require.NoError(t, err)
		assert.Equal(t, "POST /x?q=1 b", text, "new ones avoid it")
	}
	assert.Empty(t, post, "it may have been carried out")
	assert.Empty(t, big, "its body cannot be sent again")

	close(h.goOn)
	assert.Equal(t, "POST /x?q=1 hello", gets(t, post), "it was only paused")
	assert.Equal(t, "PUT /x?q=1 "+strings.Repeat("b", 200<<10), gets(t, big))
	before := h.parked.Load()
	require.Eventually(t, func() bool {
		_, _, err := f.do("GET", nil)
		return err == nil && h.parked.Load() > before
	}, time.Minute, time.Millisecond, "it is used again")
}

func TestLongPollsAreNotMistakenForAHang(t *testing.T) {
	t.Parallel()
	f := newFleet(t, quick)
	h := newHanging(t, f)
	h.alive.Store(true)
	poll := f.park(h, "GET", nil)
	f.add(echo)
	require.Eventually(t, func() bool { return h.asked.Load() >= 4 }, time.Minute, time.Millisecond, "it is asked more than once")
	assert.Empty(t, poll)
	assert.EqualValues(t, 1, h.parked.Load())
	h.alive.Store(false)
	assert.Equal(t, "GET /x?q=1 ", gets(t, poll), "a hang that begins later is found out too")
}

func TestSilenceIsAskedAfterMoreAndMoreRarely(t *testing.T) {
	t.Parallel()
	f := newFleet(t, quick)
	h := newHanging(t, f)
	h.alive.Store(true)
	started := time.Now()
	f.park(h, "GET", nil)
	require.Eventually(t, func() bool { return h.asked.Load() >= 6 }, time.Minute, time.Millisecond)
	// 1 + 2 + 4 + 8 + 8 + 8 times Silence.
	assert.GreaterOrEqual(t, time.Since(started), 31*silent)
}

func TestWhoHangsAndIsGoneKeepsNobody(t *testing.T) {
	f := newFleet(t, func(c *discovery.TransportConfig) { c.Silence = 200 * time.Millisecond })
	h := newHanging(t, f)
	get := f.park(h, "GET", nil)
	f.publish()
	f.add(echo)
	assert.Equal(t, "GET /x?q=1 ", gets(t, get))
}

func TestHangsAreNotLookedForIfSo(t *testing.T) {
	f := newFleet(t, quick, func(c *discovery.TransportConfig) { c.Silence = -1 })
	h := newHanging(t, f)
	get := f.park(h, "GET", nil)
	f.add(echo)
	for range 10 {
		_, _, err := f.do("GET", nil)
		require.NoError(t, err)
	}
	close(h.goOn)
	assert.Equal(t, "GET /x?q=1 ", gets(t, get))
	assert.Zero(t, h.asked.Load())
}

func TestAttemptTimeout(t *testing.T) {
	f := newFleet(t, quick)
	h := newHanging(t, f)
	h.alive.Store(true)
	send := func(method string) <-chan string {
		answer := make(chan string, 1)
		before := h.parked.Load()
		ctx := discovery.WithAttemptTimeout(t.Context(), 10*time.Millisecond)
		go func() {
			req, err := http.NewRequestWithContext(ctx, method, "http://store/x", nil)
			if !assert.NoError(t, err) {
				return
			}
			resp, err := f.RoundTrip(req)
			if !assert.NoError(t, err) {
				return
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			assert.NoError(t, err)
			answer <- string(b)
		}()
		require.Eventually(t, func() bool { return h.parked.Load() > before }, time.Minute, time.Millisecond)
		return answer
	}
	get, post := send("GET"), send("POST")
	assert.Empty(t, get, "there is nobody else")
	f.add(echo)
	assert.Equal(t, "GET /x ", gets(t, get))
	assert.Empty(t, post, "it may have been carried out")
	close(h.goOn)
	assert.Equal(t, "POST /x ", gets(t, post))
}

// late is a carrier that answers the fourth attempt of all, and no other.
type late struct{ n *atomic.Int64 }

func (l late) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.n.Add(1) < 4 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	select {
	case <-time.After(50 * time.Millisecond):
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func TestAttemptTimeoutEnds(t *testing.T) {
	var n atomic.Int64
	reg := make(scripted, 1)
	reg <- []discovery.Instance{at("a", "http://h:1"), at("b", "http://h:2"), at("c", "http://h:3"), at("d", "http://h:4"), at("e", "http://h:5")}
	close(reg)
	tr := discovery.NewTransport(reg, discovery.TransportConfig{Services: []string{"store"}, SetAside: time.Minute}, discovery.TransportDeps{
		PerInstance: func(discovery.Instance) http.RoundTripper { return late{&n} },
	})
	ended, stop := context.WithCancel(t.Context())
	stop() // Run takes over the set, and returns
	require.NoError(t, tr.Run(ended))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(discovery.WithAttemptTimeout(ctx, 10*time.Millisecond), "GET", "http://store/x", nil)
	require.NoError(t, err)
	resp, err := tr.RoundTrip(req)
	require.NoError(t, err, "the last attempt has as long as the request")
	assert.NoError(t, resp.Body.Close())
	assert.EqualValues(t, 4, n.Load())
}
