package serve_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/serve"
)

// waiting is a route that parks every request, tells of it, and answers what it
// is told to.
type waiting struct {
	parked   chan func() // wakes what is parked
	answer   chan string
	asked    chan *http.Request // of each answer
	unparked chan struct{}
	left     chan struct{} // of each nap that has ended
}

func newWaiting() *waiting {
	return &waiting{
		parked: make(chan func(), 100), answer: make(chan string, 100), asked: make(chan *http.Request, 100),
		unparked: make(chan struct{}, 100), left: make(chan struct{}, 100),
	}
}

func (p *waiting) routes(e *echo.Echo) {
	e.Any("/wait", func(c echo.Context) error {
		c.Response().Header().Set("X-Before", "kept")
		if err := serve.Park(c, p.nap(time.Hour)); err != nil {
			return err
		}
		p.unparked <- struct{}{}
		return c.String(http.StatusOK, "unparked")
	})
	e.GET("/short", func(c echo.Context) error { return serve.Park(c, p.nap(time.Millisecond)) })
	e.GET("/now", func(c echo.Context) error { return c.String(http.StatusOK, "now") })
}

func (p *waiting) nap(d time.Duration) *serve.Nap {
	return &serve.Nap{
		Until: time.Now().Add(d),
		Watch: func(wake func()) func() {
			p.parked <- wake
			return func() { p.left <- struct{}{} }
		},
		Answer: p.make,
	}
}

func (p *waiting) make(w http.ResponseWriter, r *http.Request) *serve.Nap {
	p.asked <- r
	text := "nothing"
	select {
	case text = <-p.answer:
	default:
	}
	switch text {
	case "panic":
		panic("as told")
	case "abort":
		panic(http.ErrAbortHandler)
	case "again":
		return p.nap(time.Hour)
	case "missing":
		w.WriteHeader(http.StatusNotFound)
	case "slow":
		<-r.Context().Done()
		p.left <- struct{}{}
	default:
		_, _ = io.WriteString(w, text)
	}
	return nil
}

// tell has the next parked request answered.
func (p *waiting) tell(t *testing.T, text string) {
	t.Helper()
	wake := receive(t, p.parked)
	p.answer <- text
	wake()
}

// line is a connection on which the test speaks HTTP by hand.
type line struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func call(t *testing.T, r *running) *line {
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.URL(), "http://"))
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	t.Cleanup(func() { _ = conn.Close() })
	return &line{Conn: conn, t: t, in: bufio.NewReader(conn)}
}

func (l *line) send(text string) {
	l.t.Helper()
	_, err := io.WriteString(l, text)
	require.NoError(l.t, err)
}

func (l *line) receive() (*http.Response, string) {
	l.t.Helper()
	resp, err := http.ReadResponse(l.in, nil)
	require.NoError(l.t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(l.t, err)
	require.NoError(l.t, resp.Body.Close())
	return resp, string(body)
}

const (
	askWait = "GET /wait HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\n\r\n"
	askNow  = "GET /now HTTP/1.1\r\nHost: x\r\n\r\n"
)

// A parked request is answered as any other, and its connection serves the next
// one, parked or not.
func TestParkedRequests(t *testing.T) {
	p := newWaiting()
	a := app(p.routes)
	a.Metrics = prometheus.NewRegistry()
	l := call(t, run(t, newServer(t, testConfig(), a)))
	for i := range 3 {
		l.send(askWait)
		p.tell(t, fmt.Sprint("answer ", i))
		resp, body := l.receive()
		assert.Equal(t, "mine", serve.RequestID(receive(t, p.asked).Context()))
		assert.Equal(t, fmt.Sprint("answer ", i), body)
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		assert.Equal(t, int64(len(body)), resp.ContentLength)
		assert.Equal(t, "mine", resp.Header.Get("X-Request-Id"))
		assert.Equal(t, "kept", resp.Header.Get("X-Before"))
		assert.Equal(t, "testing", resp.Header.Get("Imagemill-Service"))
		assert.NotEmpty(t, resp.Header.Get("Date"))
		assert.Equal(t, "text/plain; charset=utf-8", resp.Header.Get("Content-Type"))
		l.send(askNow)
		_, body = l.receive()
		assert.Equal(t, "now", body)
	}
	l.send(askWait)
	p.tell(t, "missing")
	resp, body := l.receive()
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
	assert.Empty(t, body)
	assert.Zero(t, resp.ContentLength)
	for range 4 {
		receive(t, p.left)
	}
	// Each request is counted once, under its route.
	require.Eventually(t, func() bool { return counted(t, a.Metrics, "/wait") == 4 && counted(t, a.Metrics, "/now") == 3 }, patience, time.Millisecond)
}

// A nap ends with its time, and may be followed by another.
func TestParkedNaps(t *testing.T) {
	p := newWaiting()
	l := call(t, run(t, newServer(t, testConfig(), app(p.routes))))
	l.send("GET /short HTTP/1.1\r\nHost: x\r\n\r\n")
	_, body := l.receive()
	assert.Equal(t, "nothing", body)
	receive(t, p.parked)
	l.send(askWait)
	stale := receive(t, p.parked)
	p.answer <- "again"
	stale()
	wake := receive(t, p.parked)
	for range 3 {
		receive(t, p.asked)
		p.answer <- "again"
		stale() // as if it had been called all the time
		wake = receive(t, p.parked)
	}
	p.answer <- "at last"
	wake()
	wake()
	_, body = l.receive()
	assert.Equal(t, "at last", body)
	l.send(askNow)
	_, body = l.receive()
	wake()
	assert.Equal(t, "now", body)
}

// counted gives how many requests of a route were measured.
func counted(t *testing.T, reg *prometheus.Registry, route string) (n uint64) {
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "route" && l.GetValue() == route {
					n += m.GetHistogram().GetSampleCount()
				}
			}
		}
	}
	return n
}

// What a client sends before it has its answer is served afterwards, in order.
func TestParkedAheadOfTime(t *testing.T) {
	for _, early := range []bool{true, false} {
		t.Run(fmt.Sprint("with the request: ", early), func(t *testing.T) {
			p := newWaiting()
			l := call(t, run(t, newServer(t, testConfig(), app(p.routes))))
			more := askWait + askNow
			if early {
				l.send(askWait + more)
			} else {
				l.send(askWait)
			}
			wake := receive(t, p.parked)
			if !early {
				l.send(more)
			}
			p.answer <- "first"
			wake()
			_, body := l.receive()
			assert.Equal(t, "first", body)
			p.tell(t, "second")
			_, body = l.receive()
			assert.Equal(t, "second", body)
			_, body = l.receive()
			assert.Equal(t, "now", body)
		})
	}
}

// A client that leaves ends its nap, and an answer that is in the making.
func TestParkedClientLeaves(t *testing.T) {
	p := newWaiting()
	r := run(t, newServer(t, testConfig(), app(p.routes)))
	l := call(t, r)
	l.send(askWait)
	receive(t, p.parked)
	require.NoError(t, l.Close())
	receive(t, p.left)
	assert.Empty(t, p.asked, "there is nobody to answer")

	l = call(t, r)
	l.send(askWait)
	p.tell(t, "slow")
	receive(t, p.asked)
	receive(t, p.left)
	require.NoError(t, l.Close())
	receive(t, p.left)
}

// What is sent ahead is kept up to a bound, and no further.
func TestParkedFlood(t *testing.T) {
	p := newWaiting()
	l := call(t, run(t, newServer(t, testConfig(), app(p.routes))))
	l.send(askWait)
	receive(t, p.parked)
	go func() { _, _ = io.WriteString(l, strings.Repeat("x", 1<<20)) }()
	receive(t, p.left)
	_, err := l.in.ReadByte()
	require.Error(t, err)
}

// A stop ends parked requests with an answer, and connections that wait for
// their next request without one.
func TestParkedStop(t *testing.T) {
	p := newWaiting()
	r := run(t, newServer(t, testConfig(), app(p.routes)))
	waits, idles := call(t, r), call(t, r)
	idles.send(askWait)
	p.tell(t, "done")
	idles.receive()
	waits.send(askWait)
	receive(t, p.parked)
	r.stop()
	resp, body := waits.receive()
	assert.Equal(t, "nothing", body)
	assert.True(t, resp.Close)
	_, err := idles.in.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, r.end(t))
}

// A parked request that does not end is broken off after the grace time.
func TestParkedOutlivesGrace(t *testing.T) {
	p := newWaiting()
	cfg := testConfig()
	cfg.Grace = 50 * time.Millisecond
	r := run(t, newServer(t, cfg, app(p.routes)))
	l := call(t, r)
	l.send(askWait)
	p.tell(t, "slow")
	receive(t, p.asked)
	r.stop()
	require.ErrorContains(t, r.end(t), "1 waiting requests were broken off")
	_, err := l.in.ReadByte()
	require.Error(t, err)
	receive(t, p.left) // of the nap
	receive(t, p.left)
}

func TestParkedPanics(t *testing.T) {
	p := newWaiting()
	l := call(t, run(t, newServer(t, testConfig(), app(p.routes))))
	l.send(askWait)
	p.tell(t, "panic")
	resp, body := l.receive()
	assert.Equal(t, http.StatusInternalServerError, resp.StatusCode)
	assert.Empty(t, body)
	l.send(askWait)
	p.tell(t, "abort")
	_, err := l.in.ReadByte()
	require.ErrorIs(t, err, io.EOF)
}

// A parked request counts among those that are served at once.
func TestParkedRequestsAreBounded(t *testing.T) {
	p := newWaiting()
	cfg := testConfig()
	cfg.MaxRequests = 1
	r := run(t, newServer(t, cfg, app(p.routes)))
	l, other := call(t, r), call(t, r)
	answers := func(status int) func() bool {
		return func() bool {
			other.send(askNow)
			resp, _ := other.receive()
			return resp.StatusCode == status
		}
	}
	l.send(askWait)
	wake := receive(t, p.parked)
	require.Eventually(t, answers(http.StatusTooManyRequests), patience, time.Millisecond)
	wake()
	l.receive()
	require.Eventually(t, answers(http.StatusOK), patience, time.Millisecond)
}

func TestNotParked(t *testing.T) {
	for name, ask := range map[string]string{
		"HTTP/1.0":         "GET /wait HTTP/1.0\r\nHost: x\r\n\r\n",
		"not to be kept":   "GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"a body":           "GET /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
		"a chunked body":   "GET /wait HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"neither GET":      "POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		"nor in HTTP/1.0 ": "POST /wait HTTP/1.0\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			p := newWaiting()
			l := call(t, run(t, newServer(t, testConfig(), app(p.routes))))
			l.send(ask)
			_, body := l.receive()
			assert.Equal(t, "unparked", body)
			receive(t, p.unparked)
		})
	}
	t.Run("a writer of a test", func(t *testing.T) {
		p := newWaiting()
		rec := httptest.NewRecorder()
		newServer(t, testConfig(), app(p.routes)).Handler().ServeHTTP(rec, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/wait", nil))
		assert.Equal(t, "unparked", rec.Body.String())
	})
}
