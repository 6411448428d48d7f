package discovery_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery"
)

// fleet is a Transport over instances that the test starts and kills.
type fleet struct {
	t   *testing.T
	reg scripted
	*discovery.Transport
	set []discovery.Instance
}

func newFleet(t *testing.T, change ...func(*discovery.TransportConfig)) *fleet {
	cfg := discovery.TransportConfig{
		Services: []string{"store"}, Patience: time.Minute, SetAside: 200 * time.Millisecond,
		Silence:  -1, // or a machine that stands still would have questions counted as requests
		RetryMin: time.Millisecond, RetryMax: 5 * time.Millisecond,
	}
	for _, c := range change {
		c(&cfg)
	}
	f := &fleet{t: t, reg: make(scripted)}
	f.Transport = discovery.NewTransport(f.reg, cfg, discovery.TransportDeps{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); assert.NoError(t, f.Run(ctx)) }()
	t.Cleanup(func() { close(f.reg); cancel(); <-done })
	return f
}

// add starts an instance and waits until it is seen.
func (f *fleet) add(h http.HandlerFunc) *httptest.Server {
	srv := httptest.NewServer(h)
	f.t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	f.publish(append(f.set, at(fmt.Sprint("i", len(f.set)), srv.URL))...)
	return srv
}

func (f *fleet) publish(set ...discovery.Instance) {
	f.set = set
	f.reg <- set
	require.Eventually(f.t, func() bool { return len(f.Instances()["store"]) == len(set) }, time.Minute, time.Millisecond)
}

// dead publishes an address where nobody listens, and nobody else can meanwhile: it
// is the near end of a connection.
func (f *fleet) dead() {
	srv := httptest.NewServer(nil)
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	require.NoError(f.t, err)
	f.t.Cleanup(func() { _ = conn.Close(); srv.Close() })
	f.publish(append(f.set, at(fmt.Sprint("i", len(f.set)), "http://"+conn.LocalAddr().String()))...)
}

func (f *fleet) do(method string, body io.Reader, header ...string) (status int, text string, err error) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, "http://store/x?q=1", body)
	require.NoError(f.t, err)
	for _, h := range header {
		req.Header.Set(h, "1")
	}
	resp, err := f.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// echo answers with what it was sent.
func echo(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s", r.Method, r.URL, b)
}

// counted counts the requests that a handler takes.
func counted(n *atomic.Int64, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { n.Add(1); h(w, r) }
}

// crash reads all and breaks the connection off.
func crash(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	panic(http.ErrAbortHandler)
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, h := range header {
			w.Header().Set(h, "1")
		}
		w.WriteHeader(code)
		fmt.Fprint(w, "sorry")
	}
}

// stream has no GetBody.
func stream(s string) io.Reader { return io.NopCloser(strings.NewReader(s)) }

func TestUnreachedRequestsMoveOnWhateverTheirMethod(t *testing.T) {
	f := newFleet(t)
	f.dead()
	f.dead()
	f.add(echo)
	for range 20 {
		code, text, err := f.do("POST", stream("hello"))
		require.NoError(t, err)
		assert.Equal(t, 200, code)
		assert.Equal(t, "POST /x?q=1 hello", text)
	}
}

func TestBrokenRequestsAreRepeatedOnlyIfIdempotent(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		body   io.Reader
		header []string
		repeat bool
	}{
		"GET":                 {method: "GET", repeat: true},
		"PUT":                 {method: "PUT", body: strings.NewReader("b"), repeat: true},
		"PUT of a stream":     {method: "PUT", body: stream("b"), repeat: true},
		"PUT of a big stream": {method: "PUT", body: stream(strings.Repeat("b", 200<<10)), repeat: false},
		"POST":                {method: "POST", body: strings.NewReader("b"), repeat: false},
		"POST of a stream":    {method: "POST", body: stream("b"), repeat: false},
		"POST with a key":     {method: "POST", body: stream("b"), header: []string{discovery.IdempotencyHeader}, repeat: true},
		"PATCH":               {method: "PATCH", repeat: false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			var crashes, answers atomic.Int64
			f.add(func(w http.ResponseWriter, r *http.Request) {
				if crashes.Add(1) == 1 {
					crash(w, r)
				}
				answers.Add(1)
				echo(w, r)
			})
			code, text, err := f.do(c.method, c.body, c.header...)
			if c.repeat {
				require.NoError(t, err)
				assert.Equal(t, 200, code)
				assert.Equal(t, c.body != nil, strings.HasSuffix(text, " b"))
				return
			}
			require.Error(t, err)
			assert.NotErrorIs(t, err, discovery.ErrNoInstance)
			assert.EqualValues(t, 1, crashes.Load())
			assert.Zero(t, answers.Load())
		})
	}
}

func TestRequestThatKillsEverybodyEnds(t *testing.T) {
	f := newFleet(t)
	var n atomic.Int64
	for range 3 {
		f.add(counted(&n, crash))
	}
	_, _, err := f.do("DELETE", nil)
	require.Error(t, err)
	assert.EqualValues(t, 4, n.Load())
}

func TestRefusedRequestsMoveOn(t *testing.T) {
	f := newFleet(t, func(c *discovery.TransportConfig) { c.SetAside = time.Hour })
	var refused atomic.Int64
	f.add(counted(&refused, status(503, discovery.NotCarriedOutHeader)))
	f.add(echo)
	for range 10 {
		code, text, err := f.do("POST", stream("b"))
		require.NoError(t, err)
		assert.Equal(t, 200, code)
		assert.Equal(t, "POST /x?q=1 b", text)
	}
	assert.LessOrEqual(t, refused.Load(), int64(1), "it was set aside")
}

func TestUnavailableIsPassedByIfSafe(t *testing.T) {
	f := newFleet(t)
	var n atomic.Int64
	f.add(counted(&n, status(503)))
	code, text, err := f.do("GET", nil)
	require.NoError(t, err)
	assert.Equal(t, 503, code, "there is no other")
	assert.Equal(t, "sorry", text)

	f.add(counted(&n, status(502)))
	code, text, err = f.do("GET", nil)
	require.NoError(t, err)
	assert.Contains(t, []int{502, 503}, code)
	assert.Equal(t, "sorry", text)
	assert.EqualValues(t, 3, n.Load())

	code, text, err = f.do("POST", stream("b"))
	require.NoError(t, err)
	assert.Contains(t, []int{502, 503}, code)
	assert.Equal(t, "sorry", text)
	assert.EqualValues(t, 4, n.Load())

	f.add(echo)
	code, text, err = f.do("PUT", stream("b"))
	require.NoError(t, err)
	assert.Equal(t, 200, code)
	assert.Equal(t, "PUT /x?q=1 b", text)
}

func TestUnavailableIsReturnedIfTheOthersAreDead(t *testing.T) {
	f := newFleet(t)
	f.add(status(503))
	f.dead()
	f.dead()
	code, text, err := f.do("GET", nil)
	require.NoError(t, err)
	assert.Equal(t, 503, code)
	assert.Equal(t, "sorry", text)
}

func TestPatienceWaitsForAnInstance(t *testing.T) {
	f := newFleet(t)
	f.dead()
	done := make(chan string, 1)
	go func() {
		_, text, err := f.do("POST", stream("b"))
		assert.NoError(t, err)
		done <- text
	}()
	f.publish()
	f.add(echo)
	assert.Equal(t, "POST /x?q=1 b", <-done)
}

func TestPatienceEnds(t *testing.T) {
	f := newFleet(t, func(c *discovery.TransportConfig) { c.Patience = 20 * time.Millisecond })
	_, _, err := f.do("GET", nil)
	assert.ErrorIs(t, err, discovery.ErrNoInstance)
	assert.ErrorContains(t, err, "store")
	f.dead()
	_, _, err = f.do("GET", nil)
	assert.ErrorIs(t, err, discovery.ErrNoInstance)
	assert.ErrorContains(t, err, "dial")
}

func TestTheRequestsOwnTimeEndsPatience(t *testing.T) {
	f := newFleet(t, func(c *discovery.TransportConfig) { c.Patience = time.Hour })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://store/", nil)
	require.NoError(t, err)
	_, err = f.RoundTrip(req)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorIs(t, err, discovery.ErrNoInstance)
}

// tally is a carrier that answers at once and counts.
type tally struct{ n atomic.Int64 }

func (c *tally) RoundTrip(*http.Request) (*http.Response, error) {
	c.n.Add(1)
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("ok"))}, nil
}

func TestSpreadIsEven(t *testing.T) {
	var carriers []*tally
	reg := make(scripted, 1)
	reg <- []discovery.Instance{at("a", "http://h:1"), at("b", "http://h:2"), at("c", "http://h:3")}
	close(reg)
	tr := discovery.NewTransport(reg, discovery.TransportConfig{Services: []string{"store"}}, discovery.TransportDeps{
		PerInstance: func(discovery.Instance) http.RoundTripper {
			carriers = append(carriers, &tally{})
			return carriers[len(carriers)-1]
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // Run takes over the set, and returns
	require.NoError(t, tr.Run(ctx))
	const requests, held = 30000, 300
	send := func() io.Closer {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://store/", nil)
		require.NoError(t, err)
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		return resp.Body
	}
	for range requests {
		require.NoError(t, send().Close())
	}
	for _, c := range carriers {
		assert.InEpsilon(t, requests/3, c.n.Swap(0), 0.1, "ties are broken evenly")
	}
	for range held {
		defer send().Close()
	}
	for _, c := range carriers {
		assert.EqualValues(t, held/3, c.n.Load(), "what is outstanding is even")
	}
}

func TestHangingInstanceGetsNoMoreThanItHolds(t *testing.T) {
	f := newFleet(t)
	hang := make(chan struct{})
	var taken atomic.Int64
	f.add(counted(&taken, func(http.ResponseWriter, *http.Request) { <-hang }))
	f.add(echo)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(hang)
	wg.Go(func() {
		for taken.Load() == 0 {
			_, _, _ = f.do("GET", nil)
		}
	})
	require.Eventually(t, func() bool { return taken.Load() == 1 }, time.Minute, time.Millisecond)
	for range 50 {
		code, _, err := f.do("GET", nil)
		require.NoError(t, err)
		assert.Equal(t, 200, code)
	}
	assert.EqualValues(t, 1, taken.Load())
}

func TestAnAnswerCountsUntilItsBodyEnds(t *testing.T) {
	f := newFleet(t)
	var first, second atomic.Int64
	f.add(counted(&first, echo))
	f.add(counted(&second, echo))
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://store/", nil)
	require.NoError(t, err)
	resp, err := f.RoundTrip(req)
	require.NoError(t, err)
	busy, free := &first, &second
	if second.Load() == 1 {
		busy, free = &second, &first
	}
	for range 10 {
		_, _, err := f.do("GET", nil)
		require.NoError(t, err)
	}
	assert.EqualValues(t, 1, busy.Load())
	assert.EqualValues(t, 10, free.Load())
	require.NoError(t, resp.Body.Close())
	require.NoError(t, resp.Body.Close())
	for range 40 {
		_, _, err := f.do("GET", nil)
		require.NoError(t, err)
	}
	assert.Greater(t, busy.Load(), int64(1))
}

func TestVanishedInstanceKeepsItsRequests(t *testing.T) {
	f := newFleet(t)
	reached, finish := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(finish) })
	defer release() // or the server would never close, if the test fails
	f.add(func(w http.ResponseWriter, r *http.Request) { close(reached); <-finish; echo(w, r) })
	done := make(chan error, 1)
	go func() {
		_, _, err := f.do("POST", stream("b"))
		done <- err
	}()
	<-reached
	f.publish()
	assert.False(t, f.Ready("store"))
	release()
	assert.NoError(t, <-done)
}

func TestVanishedInstanceLosesIdleConnections(t *testing.T) {
	f := newFleet(t)
	closed := make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			close(closed)
		}
	}
	srv.Start()
	defer srv.Close()
	f.publish(at("a", srv.URL))
	_, _, err := f.do("GET", nil)
	require.NoError(t, err)
	f.publish()
	select {
	case <-closed:
	case <-time.After(time.Minute):
		assert.Fail(t, "the idle connection is still there")
	}
}

func TestFailureOfTheCallersBodyIsNotTheInstances(t *testing.T) {
	f := newFleet(t, func(c *discovery.TransportConfig) { c.SetAside = time.Hour })
	var first, second atomic.Int64
	f.add(counted(&first, echo))
	r, w := io.Pipe()
	go func() { _, _ = w.Write([]byte("half")); _ = w.CloseWithError(io.ErrNoProgress) }()
	_, _, err := f.do("PUT", r)
	require.ErrorIs(t, err, io.ErrNoProgress)
	before := first.Load()
	f.add(counted(&second, echo))
	require.Eventually(t, func() bool {
		_, _, err := f.do("GET", nil)
		return err == nil && first.Load() > before && second.Load() > 0
	}, time.Minute, time.Millisecond, "neither is set aside")
}

// closing tells when a body is closed.
type closing struct {
	io.Reader
	closes atomic.Int64
}

func (c *closing) Close() error { c.closes.Add(1); return nil }

func TestBodyIsClosedOnceInEveryCase(t *testing.T) {
	for name, prepare := range map[string]func(*fleet){
		"answered": func(f *fleet) { f.add(echo) },
		"moved on": func(f *fleet) { f.dead(); f.add(echo) },
		"broken":   func(f *fleet) { f.add(crash) },
		"refused":  func(f *fleet) { f.dead() },
		"nobody":   func(*fleet) {},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, func(c *discovery.TransportConfig) { c.Patience = 10 * time.Millisecond })
			prepare(f)
			body := &closing{Reader: strings.NewReader("b")}
			_, _, _ = f.do("POST", body)
			require.Eventually(t, func() bool { return body.closes.Load() > 0 }, time.Minute, time.Millisecond)
			assert.EqualValues(t, 1, body.closes.Load())
		})
	}
}

func TestOtherHosts(t *testing.T) {
	f := newFleet(t)
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://elsewhere/", nil)
	require.NoError(t, err)
	_, err = f.RoundTrip(req)
	assert.ErrorIs(t, err, discovery.ErrUnknownService)
	assert.False(t, f.Ready("elsewhere"))

	srv := httptest.NewServer(http.HandlerFunc(echo))
	defer srv.Close()
	base := &http.Transport{}
	tr := discovery.NewTransport(f.reg, discovery.TransportConfig{}, discovery.TransportDeps{Base: base})
	client := &http.Client{Transport: tr}
	defer client.CloseIdleConnections()
	resp, err := client.Get(srv.URL + "/y")
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, 200, resp.StatusCode)
}

func TestRedirectsStayWithTheService(t *testing.T) {
	f := newFleet(t)
	f.add(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/from" {
			http.Redirect(w, r, "/to", http.StatusFound)
			return
		}
		echo(w, r)
	})
	resp, err := (&http.Client{Transport: f}).Get("http://store/from")
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, "http://store/to", resp.Request.URL.String())
}
