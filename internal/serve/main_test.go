package serve_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"imagemill/internal/leaktest"
	"imagemill/internal/serve"
	"imagemill/pkg/discovery"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// patience bounds every wait of these tests; none comes near it.
const patience = time.Minute

func testConfig() serve.Config {
	cfg := serve.DefaultConfig("127.0.0.1:0")
	cfg.Linger = 0
	return cfg
}

// app is a service with the given routes and nothing else.
func app(routes func(e *echo.Echo)) serve.App {
	return serve.App{
		Service: "testing", Instance: "t-1", Version: "v0",
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Routes: routes,
	}
}

func newServer(t *testing.T, cfg serve.Config, a serve.App) *serve.Server {
	t.Helper()
	s, err := serve.New(cfg, a)
	require.NoError(t, err)
	return s
}

// running is a server in Run.
type running struct {
	*serve.Server
	stop func()
	done chan error
	hc   *http.Client
}

func run(t *testing.T, s *serve.Server) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	tr := &http.Transport{}
	r := &running{Server: s, stop: cancel, done: make(chan error, 1), hc: &http.Client{Transport: tr}}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		r.done <- s.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-finished; tr.CloseIdleConnections() })
	require.Eventually(t, func() bool { return s.URL() != "" }, patience, time.Millisecond)
	return r
}

// end waits for Run's answer.
func (r *running) end(t *testing.T) error {
	t.Helper()
	return receive(t, r.done)
}

func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("not reached")
	}
}

// get answers a request by the handler alone.
func answer(h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec
}

// journal is a registry that notes when it is asked, and withdraws when told.
type journal struct {
	mu        sync.Mutex
	announced discovery.Instance
	visible   chan struct{}
	leaving   chan struct{}
	letGo     chan struct{}
}

func newJournal() *journal {
	return &journal{visible: make(chan struct{}), leaving: make(chan struct{}), letGo: make(chan struct{})}
}

func (j *journal) Announce(ctx context.Context, in discovery.Instance, announced func()) error {
	j.mu.Lock()
	j.announced = in
	j.mu.Unlock()
	announced()
	close(j.visible)
	<-ctx.Done()
	close(j.leaving)
	<-j.letGo
	return nil
}

func (j *journal) Watch(context.Context, string) <-chan []discovery.Instance { return nil }

func (j *journal) instance() discovery.Instance {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.announced
}
