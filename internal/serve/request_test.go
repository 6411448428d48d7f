package serve_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/internal/serve"
	"imagemill/pkg/discovery"
)

func problem(t *testing.T, h http.Header, body []byte) fault.Problem {
	t.Helper()
	require.Equal(t, fault.ContentType, h.Get("Content-Type"))
	var p fault.Problem
	require.NoError(t, json.Unmarshal(body, &p))
	return p
}

func TestEveryErrorIsAProblemDocument(t *testing.T) {
	h := newServer(t, testConfig(), app(func(e *echo.Echo) {
		e.GET("/panic", func(echo.Context) error { panic("the secret cause") })
		e.GET("/plain", func(echo.Context) error { return errors.New("the secret cause") })
		e.GET("/busy", func(echo.Context) error {
			return fault.New(fault.Overloaded, "later").WithRetryAfter(1500 * time.Millisecond)
		})
		e.GET("/begun", func(c echo.Context) error {
			_ = c.String(http.StatusOK, "so far")
			return errors.New("the secret cause")
		})
	})).Handler()
	for _, tc := range []struct {
		method, path string
		status       int
		kind         string
	}{
		{"GET", "/none", 404, "not-found"},
		{"POST", "/panic", 405, "method-not-allowed"},
		{"GET", "/panic", 500, "internal"},
		{"GET", "/plain", 500, "internal"},
		{"GET", "/busy", 429, "overloaded"},
	} {
		rec := answer(h, tc.method, tc.path, "")
		require.Equal(t, tc.status, rec.Code, tc.path)
		p := problem(t, rec.Header(), rec.Body.Bytes())
		require.Equal(t, "urn:imagemill:problem:"+tc.kind, p.Type)
		require.Equal(t, tc.path, p.Instance)
		require.Equal(t, rec.Header().Get(serve.HeaderRequestID), p.RequestID)
		require.NotContains(t, rec.Body.String(), "secret")
	}
	require.Contains(t, answer(h, "POST", "/panic", "").Header().Get("Allow"), "GET")
	require.Equal(t, "2", answer(h, "GET", "/busy", "").Header().Get("Retry-After"), "rounded up")
	require.Equal(t, "so far", answer(h, "GET", "/begun", "").Body.String())
	require.Empty(t, answer(h, "HEAD", "/none", "").Body.String())
}

func TestPlainErrors(t *testing.T) {
	a := app(func(*echo.Echo) {})
	a.PlainErrors = true
	rec := answer(newServer(t, testConfig(), a).Handler(), "GET", "/none", "")
	require.Equal(t, 404, rec.Code)
	require.Equal(t, "no such route", rec.Body.String())
}

func TestTheToken(t *testing.T) {
	cfg := testConfig()
	cfg.Token = "s3cret"
	reached := func(e *echo.Echo) {
		e.GET("/x", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
	}
	h := newServer(t, cfg, app(reached)).Handler()
	for _, tc := range []struct {
		path, header, value string
		status              int
	}{
		{"/x", "", "", 401},
		{"/x", "Authorization", "Bearer wrong", 401},
		{"/x", "Authorization", "Bearer s3cret", 204},
		{"/x", "X-Consul-Token", "s3cret", 204},
		{"/x", "X-Consul-Token", "wrong", 401},
		{"/metrics", "", "", 401},
		{"/config", "", "", 401},
		{"/healthz", "", "", 200},
		{"/readyz", "", "", 200},
	} {
		rec := answer(h, "GET", tc.path, "", tc.header, tc.value)
		require.Equal(t, tc.status, rec.Code, tc)
	}
	public := app(reached)
	public.Public = true
	require.Equal(t, 204, answer(newServer(t, cfg, public).Handler(), "GET", "/x", "").Code)
}

func TestRequestIDs(t *testing.T) {
	h := newServer(t, testConfig(), app(func(e *echo.Echo) {
		e.GET("/id", func(c echo.Context) error {
			return c.String(http.StatusOK, serve.RequestID(c.Request().Context()))
		})
	})).Handler()
	rec := answer(h, "GET", "/id", "", serve.HeaderRequestID, "from-afar")
	require.Equal(t, "from-afar", rec.Body.String())
	require.Equal(t, "from-afar", rec.Header().Get(serve.HeaderRequestID))
	for _, bad := range []string{"", "a b", "x\"y", strings.Repeat("x", 300)} {
		rec := answer(h, "GET", "/id", "", serve.HeaderRequestID, bad)
		require.Len(t, rec.Body.String(), 36, "a new one instead of %q", bad)
	}
}

func TestTooManyAtOnce(t *testing.T) {
	cfg := testConfig()
	cfg.MaxRequests = 1
	p := newParked()
	r := run(t, newServer(t, cfg, app(p.routes)))
	replies := inHand(t, r, p)
	rec := answer(r.Handler(), "GET", "/quick", "")
	require.Equal(t, 429, rec.Code)
	require.Equal(t, "1", rec.Header().Get(discovery.NotCarriedOutHeader))
	require.Equal(t, 200, answer(r.Handler(), "GET", "/healthz", "").Code)
	close(p.release)
	r.stop()
	require.NoError(t, receive(t, replies).err)
	require.NoError(t, r.end(t))
}

func TestDecodeIsStrict(t *testing.T) {
	h := newServer(t, testConfig(), app(func(e *echo.Echo) {
		e.POST("/in", func(c echo.Context) error {
			var v struct {
				Width int `json:"width"`
			}
			if err := serve.Decode(c, &v); err != nil {
				return err
			}
			return c.NoContent(http.StatusNoContent)
		})
	})).Handler()
	for body, want := range map[string]struct {
		status int
		field  string
	}{
		`{"width":1}`:                          {204, ""},
		" {\"width\":1}\n ":                    {204, ""},
		``:                                     {400, ""},
		`{`:                                    {400, ""},
		`{"width":"1"}`:                        {400, "width"},
		`{"height":1}`:                         {400, "height"},
		`{"width":1} {}`:                       {400, ""},
		`{"width":1}}`:                         {400, ""},
		`{"width":1}]`:                         {400, ""},
		`{"width":1}x`:                         {400, ""},
		`"` + strings.Repeat("x", 1<<20) + `"`: {413, ""},
	} {
		rec := answer(h, "POST", "/in", body)
		require.Equal(t, want.status, rec.Code, "%.40s", body)
		if want.status != 204 {
			require.Equal(t, want.field, problem(t, rec.Header(), rec.Body.Bytes()).Field, "%.40s", body)
		}
	}
}

// dial speaks HTTP by hand, to send a body as slowly as it likes.
func dial(t *testing.T, r *running, head string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.URL()[len("http://"):])
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, head)
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

func bodyRoutes(e *echo.Echo) {
	e.POST("/paced", func(c echo.Context) error {
		n, err := io.Copy(io.Discard, serve.Paced(c, c.Request().Body, serve.Pace{Grace: 10 * time.Millisecond, Rate: 1 << 20}))
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, n)
	})
	e.POST("/small", func(c echo.Context) error {
		var v map[string]any
		if err := serve.Decode(c, &v); err != nil {
			return err
		}
		return c.NoContent(http.StatusNoContent)
	})
}

func TestABodyThatIsTooSlowIsRefused(t *testing.T) {
	cfg := testConfig()
	cfg.ReadTimeout = 10 * time.Millisecond
	r := run(t, newServer(t, cfg, app(bodyRoutes)))
	for _, path := range []string{"/paced", "/small"} {
		conn := dial(t, r, "POST "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\n{")
		got, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Contains(t, string(got), "HTTP/1.1 408 ", path)
		require.Contains(t, string(got), "urn:imagemill:problem:request-timeout")
	}
}

func TestABodyThatBreaksOffIsInvalid(t *testing.T) {
	kinds := make(chan fault.Kind, 1)
	r := run(t, newServer(t, testConfig(), app(func(e *echo.Echo) {
		e.POST("/paced", func(c echo.Context) error {
			_, err := io.ReadAll(serve.Paced(c, c.Request().Body, serve.Pace{Grace: patience, Rate: 1}))
			kinds <- fault.KindOf(err)
			return err
		})
	})))
	conn := dial(t, r, "POST /paced HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
	require.NoError(t, conn.Close())
	require.Equal(t, fault.Invalid, receive(t, kinds))
}

// deadlines is an answer's writer that notes the read deadlines it is given.
type deadlines struct {
	http.ResponseWriter
	set []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error { d.set = append(d.set, t); return nil }

func TestThePaceMovesWithEveryByte(t *testing.T) {
	w := &deadlines{}
	c := echo.New().NewContext(nil, w)
	body := serve.Paced(c, strings.NewReader("abc"), serve.Pace{Grace: time.Minute, Rate: 1})
	one := make([]byte, 1)
	for range 3 {
		_, err := body.Read(one)
		require.NoError(t, err)
	}
	require.Len(t, w.set, 3)
	require.Equal(t, 2*time.Second, w.set[2].Sub(w.set[0]), "two bytes have bought two seconds")
	_, err := body.Read(one)
	require.ErrorIs(t, err, io.EOF)
	require.True(t, w.set[len(w.set)-1].IsZero(), "the handler may go on for as long as it likes")
}

func TestACopyThatFailsBreaksTheConnection(t *testing.T) {
	r := run(t, newServer(t, testConfig(), app(func(e *echo.Echo) {
		e.GET("/whole", func(c echo.Context) error { return serve.Copy(c, strings.NewReader("all of it")) })
		e.GET("/broken", func(c echo.Context) error {
			return serve.Copy(c, io.MultiReader(strings.NewReader("so far"), failing{}))
		})
	})))
	_, body, _, err := get(t.Context(), r.hc, r.URL()+"/whole")
	require.NoError(t, err)
	require.Equal(t, "all of it", body)
	_, _, _, err = get(t.Context(), r.hc, r.URL()+"/broken")
	require.Error(t, err)
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }
