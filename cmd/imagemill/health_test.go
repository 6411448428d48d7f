package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// healthOf runs the command as a container's health check does, and again where the
// machine stood still for as long as an answer may take.
func healthOf(t *testing.T, args ...string) (said string, err error) {
	t.Helper()
	for range 20 {
		if said, err = healthOnce(t, args...); !errors.Is(err, context.DeadlineExceeded) {
			break
		}
	}
	return said, err
}

func healthOnce(t *testing.T, args ...string) (string, error) {
	t.Helper()
	args = append([]string{"health"}, args...)
	cmd, out := commandFor(args), &bytes.Buffer{}
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(io.Discard)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestHealth(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {
		require.Empty(t, r.Header.Get("Authorization"), "the secret is for services only")
		_, _ = io.WriteString(w, `{"status":"alive","service":"storage","version":"1"}`)
	})
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"ready":false,"missing":["no taskdb is announced"]}`)
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	t.Setenv("IMAGEMILL_CLUSTER_TOKEN", "a-token-that-is-long-enough")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")

	out, err := healthOf(t, srv.URL+"/")
	require.NoError(t, err)
	require.Equal(t, "alive storage 1\n", out)
	_, err = healthOf(t, "--ready", "--url", srv.URL)
	require.ErrorContains(t, err, "not ready: 503 Service Unavailable; no taskdb is announced")

	t.Setenv("IMAGEMILL_HEALTH_URL", srv.URL)
	_, err = healthOf(t)
	require.NoError(t, err)
}

func TestHealthOfNobody(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	_, err := healthOf(t, srv.URL)
	require.ErrorContains(t, err, "404")
	srv.Close()
	_, err = healthOf(t, srv.URL)
	require.ErrorContains(t, err, "ask "+srv.URL)
	_, err = healthOf(t, "::")
	require.ErrorContains(t, err, "no URL")
}

func TestHealthDoesNotWaitForTheSilent(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	start := time.Now()
	_, err := healthOnce(t, silent.URL)
	require.ErrorContains(t, err, "deadline")
	require.Less(t, time.Since(start), healthTime+time.Minute)
}

// Only the question after health is without the other commands.
func TestCommandFor(t *testing.T) {
	require.Len(t, commandFor([]string{"health", "http://127.0.0.1"}).Commands(), 1)
	for _, args := range [][]string{nil, {"--help"}, {"kvstore"}, {"help", "health"}} {
		require.Len(t, commandFor(args).Commands(), len(root().Commands()), args)
	}
}
