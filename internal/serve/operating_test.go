package serve_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"imagemill/internal/serve"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/settings"
)

func TestReadyzNamesWhatIsMissing(t *testing.T) {
	missing := []string{"taskdb"}
	a := app(func(*echo.Echo) {})
	a.Ready = func() []string { return missing }
	h := newServer(t, testConfig(), a).Handler()
	rec := answer(h, "GET", "/readyz", "")
	require.Equal(t, 503, rec.Code)
	require.JSONEq(t, `{"ready":false,"missing":["taskdb"]}`, rec.Body.String())
	missing = nil
	rec = answer(h, "GET", "/readyz", "")
	require.Equal(t, 200, rec.Code)
	require.JSONEq(t, `{"ready":true,"missing":[]}`, rec.Body.String())
}

func TestReadyzShowsNoticesWithoutFailing(t *testing.T) {
	a := app(func(*echo.Echo) {})
	var notices []string
	a.Notices = func() []string { return notices }
	h := newServer(t, testConfig(), a).Handler()
	require.JSONEq(t, `{"ready":true,"missing":[]}`, answer(h, "GET", "/readyz", "").Body.String())
	notices = []string{"storage is old"}
	rec := answer(h, "GET", "/readyz", "")
	require.Equal(t, 200, rec.Code)
	require.JSONEq(t, `{"ready":true,"missing":[],"notices":["storage is old"]}`, rec.Body.String())
	a.Public = true
	require.NotContains(t, answer(newServer(t, testConfig(), a).Handler(), "GET", "/readyz", "").Body.String(), "old")
}

func TestConfigShowsSharedSettings(t *testing.T) {
	a := app(func(*echo.Echo) {})
	a.Effective = map[string]string{"WAIT": "1s"}
	a.Settings = settings.New(settings.Config{})
	settings.Use(a.Settings, settings.Definition[int]{Name: "size", Parse: strconv.Atoi}, 5)
	h := newServer(t, testConfig(), a).Handler()
	require.JSONEq(t, `{"WAIT":"1s","settings":{"size":{"value":"5","from":"configuration","configured":"5"}}}`,
		answer(h, "GET", "/config", "").Body.String())
	a.Settings.Apply(discovery.Document{"size": {Value: "7", Version: 2, Writer: "ada@host"}})
	require.JSONEq(t, `{"WAIT":"1s","settings":{"size":{"value":"7","from":"shared setting","configured":"5","version":2,"writer":"ada@host"}}}`,
		answer(h, "GET", "/config", "").Body.String())
}

func TestOperatingEndpoints(t *testing.T) {
	a := app(func(*echo.Echo) {})
	a.Effective = map[string]string{"LISTEN": "here"}
	a.Services = func() map[string][]discovery.Instance {
		return map[string][]discovery.Instance{"storage": {{ID: "s-1"}}}
	}
	cfg := testConfig()
	h := newServer(t, cfg, a).Handler()
	require.Contains(t, answer(h, "GET", "/services", "").Body.String(), "s-1")
	require.JSONEq(t, `{"LISTEN":"here"}`, answer(h, "GET", "/config", "").Body.String())
	metrics := answer(h, "GET", "/metrics", "").Body.String()
	require.Contains(t, metrics, `imagemill_http_request_duration_seconds_count{method="GET",route="/config",status="200"} 1`)
	require.Equal(t, 404, answer(h, "GET", "/debug/pprof/", "").Code, "off unless asked for")

	cfg.Pprof = true
	require.Equal(t, 200, answer(newServer(t, cfg, a).Handler(), "GET", "/debug/pprof/", "").Code)

	a.Public = true
	h = newServer(t, cfg, a).Handler()
	for _, path := range []string{"/services", "/config", "/metrics", "/debug/pprof/"} {
		require.Equal(t, 404, answer(h, "GET", path, "").Code, "a public server keeps %s to itself", path)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestOutgoingCallsCarryTokenAndID(t *testing.T) {
	var sent http.Header
	seen := transport(func(r *http.Request) (*http.Response, error) {
		sent = r.Header
		return &http.Response{StatusCode: 204, Body: http.NoBody}, nil
	})
	req, err := http.NewRequestWithContext(serve.WithRequestID(t.Context(), "r-7"), http.MethodGet, "http://storage/x", nil)
	require.NoError(t, err)
	resp, err := serve.Outgoing(seen, "s3cret").RoundTrip(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "Bearer s3cret", sent.Get("Authorization"))
	require.Equal(t, "r-7", sent.Get(serve.HeaderRequestID))
	require.Empty(t, req.Header, "the caller's request is left alone")

	resp, err = serve.Outgoing(seen, "").RoundTrip(req.WithContext(t.Context()))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Empty(t, sent)
}
