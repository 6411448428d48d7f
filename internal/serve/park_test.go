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
	parked chan *http.Request
	answer chan string
	// unparked counts requests that could not be parked.
	unparked chan struct{}
}

func newWaiting() *waiting {
	return &waiting{parked: make(chan *http.Request, 100), answer: make(chan string, 100), unparked: make(chan struct{}, 100)}
}

func (p *waiting) routes(e *echo.Echo) {
	e.Any("/wait", func(c echo.Context) error {
		c.Response().Header().Set("X-Before", "kept")
		if err := serve.Park(c, p.wait); err != nil {
			return err
		}
		p.unparked <- struct{}{}
		return c.String(http.StatusOK, "unparked")
	})
	e.GET("/now", func(c echo.Context) error { return c.String(http.StatusOK, "now") })
}

func (p *waiting) wait(w http.ResponseWriter, r *http.Request) {
	p.parked <- r
	select {
	case text := <-p.answer:
		switch text {
		case "panic":
			panic("as told")
		case "abort":
			panic(http.ErrAbortHandler)
		case "missing":
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, text)
	case <-serve.Draining(r.Context()):
		_, _ = io.WriteString(w, "drained")
	case <-r.Context().Done():
		p.answer <- "left"
	}
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
	r := run(t, newServer(t, testConfig(), a))
	l := call(t, r)
	for i := range 3 {
		l.send(askWait)
		req := receive(t, p.parked)
		assert.Equal(t, "mine", serve.RequestID(req.Context()))
		p.answer <- fmt.Sprint("answer ", i)
		resp, body := l.receive()
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
	receive(t, p.parked)
	p.answer <- "missing"
	resp, body := l.receive()
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
	assert.Empty(t, body)
	assert.Zero(t, resp.ContentLength)

	// Each request is counted once, under its route.
	require.Eventually(t, func() bool { return counted(t, a.Metrics, "/wait") == 4 && counted(t, a.Metrics, "/now") == 3 }, patience, time.Millisecond)
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
	for _, tc := range []struct {
		name  string
		early bool // in one piece with the request that is parked
	}{{"with the request", true}, {"while it waits", false}} {
		t.Run(tc.name, func(t *testing.T) {
			p := newWaiting()
			l := call(t, run(t, newServer(t, testConfig(), app(p.routes))))
			if tc.early {
				l.send(askWait + askWait + askNow)
				receive(t, p.parked)
			} else {
				l.send(askWait)
				receive(t, p.parked)
				l.send(askWait + askNow)
			}
			p.answer <- "first"
			_, body := l.receive()
			assert.Equal(t, "first", body)
			receive(t, p.parked)
			p.answer <- "second"
			_, body = l.receive()
			assert.Equal(t, "second", body)
			_, body = l.receive()
			assert.Equal(t, "now", body)
		})
	}
}

func TestParkedClientLeaves(t *testing.T) {
	p := newWaiting()
	l := call(t, run(t, newServer(t, testConfig(), app(p.routes))))
	l.send(askWait)
	receive(t, p.parked)
	require.NoError(t, l.Close())
	assert.Equal(t, "left", receive(t, p.answer))
}

// A stop ends parked requests with an answer, and connections that wait for
// their next request without one.
func TestParkedStop(t *testing.T) {
	p := newWaiting()
	r := run(t, newServer(t, testConfig(), app(p.routes)))
	waits, idles := call(t, r), call(t, r)
	idles.send(askWait)
	receive(t, p.parked)
	p.answer <- "done"
	idles.receive()
	waits.send(askWait)
	receive(t, p.parked)
	r.stop()
	resp, body := waits.receive()
	assert.Equal(t, "drained", body)
	assert.True(t, resp.Close)
	_, err := idles.in.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, r.end(t))
}

// A parked request that does not end is broken off after the grace time.
func TestParkedOutlivesGrace(t *testing.T) {
	cfg := testConfig()
	cfg.Grace = 50 * time.Millisecond
	begun := make(chan struct{})
	r := run(t, newServer(t, cfg, app(func(e *echo.Echo) {
		e.GET("/wait", func(c echo.Context) error {
			return serve.Park(c, func(_ http.ResponseWriter, r *http.Request) {
				close(begun)
				<-r.Context().Done()
			})
		})
	})))
	l := call(t, r)
	l.send(askWait)
	receive(t, begun)
	r.stop()
	require.ErrorContains(t, r.end(t), "1 waiting requests were broken off")
	_, err := l.in.ReadByte()
	require.Error(t, err)
}

func TestParkedPanics(t *testing.T) {
	p := newWaiting()
	l := call(t, run(t, newServer(t, testConfig(), app(p.routes))))
	l.send(askWait)
	receive(t, p.parked)
	p.answer <- "panic"
	resp, body := l.receive()
	assert.Equal(t, http.StatusInternalServerError, resp.StatusCode)
	assert.Empty(t, body)
	l.send(askWait)
	receive(t, p.parked)
	p.answer <- "abort"
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
	l.send(askWait)
	receive(t, p.parked)
	require.Eventually(t, func() bool { // the handler that parked it counts until it has returned
		other.send(askNow)
		resp, _ := other.receive()
		return resp.StatusCode == http.StatusTooManyRequests
	}, patience, time.Millisecond)
	p.answer <- "done"
	l.receive()
	require.Eventually(t, func() bool {
		other.send(askNow)
		resp, _ := other.receive()
		return resp.StatusCode == http.StatusOK
	}, patience, time.Millisecond)
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
