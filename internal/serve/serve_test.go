package serve_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"imagemill/internal/serve"
	"imagemill/pkg/discovery"
)

// parked is a route that stays until it is released, and tells of its steps.
type parked struct{ came, drains, release chan struct{} }

func newParked() *parked {
	return &parked{came: make(chan struct{}), drains: make(chan struct{}), release: make(chan struct{})}
}

func (p *parked) routes(e *echo.Echo) {
	e.GET("/park", func(c echo.Context) error {
		close(p.came)
		<-serve.Draining(c.Request().Context())
		close(p.drains)
		<-p.release
		return c.String(http.StatusOK, "done")
	})
	e.GET("/quick", func(c echo.Context) error { return c.String(http.StatusOK, "quick") })
}

func get(ctx context.Context, hc *http.Client, url string) (int, string, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", nil, err
	}
	resp, err := hc.Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), resp.Header, err
}

type reply struct {
	status int
	body   string
	err    error
}

// inHand sends a request that stays in the handler, and waits until it is there.
func inHand(t *testing.T, r *running, p *parked) <-chan reply {
	t.Helper()
	replies := make(chan reply, 1)
	go func() {
		status, body, _, err := get(context.WithoutCancel(t.Context()), r.hc, r.URL()+"/park")
		replies <- reply{status, body, err}
	}()
	receive(t, p.came)
	return replies
}

func TestAStopGoesInOrder(t *testing.T) {
	p, reg := newParked(), newJournal()
	a := app(p.routes)
	a.Registry = reg
	cfg := testConfig()
	cfg.Linger = time.Millisecond
	r := run(t, newServer(t, cfg, a))
	receive(t, reg.visible)
	require.Equal(t, r.URL(), reg.instance().URL)
	replies := inHand(t, r, p)

	r.stop()
	receive(t, reg.leaving)
	// Until the withdrawal has ended, it serves as before, and asks callers to
	// come back over a new connection.
	status, body, h, err := get(t.Context(), r.hc, r.URL()+"/quick")
	require.NoError(t, err)
	require.Equal(t, 200, status, body)
	require.Empty(t, h.Get(discovery.NotCarriedOutHeader))
	select {
	case <-p.drains:
		t.Fatal("long polls were ended before the withdrawal")
	default:
	}
	status, body, _, err = get(t.Context(), r.hc, r.URL()+"/readyz")
	require.NoError(t, err)
	require.Equal(t, 503, status)
	require.Contains(t, body, "stopping")

	close(reg.letGo)
	receive(t, p.drains)
	require.Eventually(t, func() bool {
		return answer(r.Handler(), "GET", "/quick", "").Code == http.StatusServiceUnavailable
	}, patience, time.Millisecond)
	refusal := answer(r.Handler(), "GET", "/quick", "")
	require.Equal(t, "1", refusal.Header().Get(discovery.NotCarriedOutHeader))
	require.Equal(t, "1", refusal.Header().Get("Retry-After"))
	require.Equal(t, 200, answer(r.Handler(), "GET", "/healthz", "").Code, "it is alive until it is gone")

	close(p.release)
	got := receive(t, replies)
	require.NoError(t, got.err)
	require.Equal(t, reply{status: 200, body: "done"}, got)
	require.NoError(t, r.end(t))
}

func TestRequestsThatOutliveTheGraceTimeAreAnError(t *testing.T) {
	p := newParked()
	cfg := testConfig()
	cfg.Grace = time.Millisecond
	r := run(t, newServer(t, cfg, app(p.routes)))
	replies := inHand(t, r, p)
	r.stop()
	err := r.end(t)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "grace time")
	require.Error(t, receive(t, replies).err, "the connection is closed")
	close(p.release)
}

func TestOnlyLoopbackWithoutASecret(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*serve.Config, *serve.App)
		serves bool
	}{
		"a service without a token":     {func(*serve.Config, *serve.App) {}, false},
		"a service with one":            {func(c *serve.Config, _ *serve.App) { c.Token = strong }, true},
		"a public server without keys":  {func(c *serve.Config, a *serve.App) { c.Token, a.Public = strong, true }, false},
		"a public server that has them": {func(_ *serve.Config, a *serve.App) { a.Public, a.Protected = true, true }, true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, a := testConfig(), app(func(*echo.Echo) {})
			inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			a.Listener = everywhere{inner}
			tc.change(&cfg, &a)
			s := newServer(t, cfg, a)
			if tc.serves {
				r := run(t, s)
				r.stop()
				require.NoError(t, r.end(t))
				return
			}
			require.ErrorContains(t, s.Run(t.Context()), "reachable from other machines")
			require.Empty(t, s.URL())
		})
	}
}

// everywhere is a listener that says that it is open to the network, but is not.
type everywhere struct{ net.Listener }

func (everywhere) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero, Port: 9} }

func TestAnAddressInUseIsAnError(t *testing.T) {
	first := run(t, newServer(t, testConfig(), app(func(*echo.Echo) {})))
	cfg := testConfig()
	cfg.Listen = first.URL()[len("http://"):]
	err := newServer(t, cfg, app(func(*echo.Echo) {})).Run(t.Context())
	for _, part := range []string{
		"testing: IMAGEMILL_TESTING_LISTEN: cannot listen on " + cfg.Listen, "another program has this port", "choose another port",
	} {
		require.ErrorContains(t, err, part)
	}
}

func TestTheAdvertisedAddress(t *testing.T) {
	for advertise, want := range map[string]string{"mill.example": "http://mill.example:", "mill.example:7": "http://mill.example:7"} {
		cfg := testConfig()
		cfg.Advertise = advertise
		r := run(t, newServer(t, cfg, app(func(*echo.Echo) {})))
		require.Contains(t, r.URL(), want)
	}
}

func TestNewChecks(t *testing.T) {
	_, err := serve.New(testConfig(), serve.App{})
	require.ErrorContains(t, err, "needs")
	for setting, spoil := range map[string]func(*serve.Config){
		"LISTEN":       func(c *serve.Config) { c.Listen = "nowhere" },
		"MAX_REQUESTS": func(c *serve.Config) { c.MaxRequests = 0 },
		"LINGER":       func(c *serve.Config) { c.Linger = -1 },
		"GRACE":        func(c *serve.Config) { c.Grace = 0 },
		"READ_TIMEOUT": func(c *serve.Config) { c.ReadTimeout = 0 },
	} {
		cfg := testConfig()
		spoil(&cfg)
		_, err := serve.New(cfg, app(func(*echo.Echo) {}))
		require.ErrorContains(t, err, setting+":")
	}
}

func TestOutsideARequestNothingDrains(t *testing.T) {
	require.Nil(t, serve.Draining(t.Context()))
}
