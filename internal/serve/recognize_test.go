package serve_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/serve"
	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/static"
)

// An address in the registry may be somebody else's by now: whoever it is, the
// request goes on to the instance that is there, also one that may not be made
// twice, and its body is sent again whole.
func TestStrangersAreNotBelieved(t *testing.T) {
	strangers := map[string]http.HandlerFunc{
		"another server": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"another service": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set(serve.HeaderService, "storage")
		},
		"another suite": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(serve.HeaderService, "taskdb")
			w.WriteHeader(http.StatusUnauthorized)
		},
	}
	for name, stranger := range strangers {
		t.Run(name, func(t *testing.T) {
			var bodies []string
			right := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				data, _ := io.ReadAll(r.Body)
				bodies = append(bodies, string(data))
				w.Header().Set(serve.HeaderService, "taskdb")
				w.WriteHeader(http.StatusCreated)
			}))
			defer right.Close()
			wrong := httptest.NewServer(stranger)
			defer wrong.Close()
			hc := recognizing(t, wrong.URL, right.URL)
			for range 4 {
				status, err := post(t, hc)
				require.NoError(t, err)
				require.Equal(t, http.StatusCreated, status)
			}
			require.Equal(t, []string{"body", "body", "body", "body"}, bodies)

			_, err := post(t, recognizing(t, wrong.URL))
			require.ErrorIs(t, err, discovery.ErrNoInstance)
			require.ErrorIs(t, err, discovery.ErrStranger)
		})
	}
}

func post(t *testing.T, hc *http.Client) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://taskdb/tasks", strings.NewReader("body"))
	require.NoError(t, err)
	resp, err := hc.Do(req)
	if err != nil {
		return 0, err
	}
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, nil
}

// recognizing makes a client of the service taskdb at these addresses.
func recognizing(t *testing.T, urls ...string) *http.Client {
	t.Helper()
	reg, err := static.New(map[string][]string{"taskdb": urls})
	require.NoError(t, err)
	cfg := discovery.TransportConfig{
		Services: []string{"taskdb"}, Patience: 300 * time.Millisecond, SetAside: time.Minute,
		Silence: -1, DialTimeout: time.Minute, // or who stands still would be asked, or passed by
	}
	tr := discovery.NewTransport(reg, cfg, discovery.TransportDeps{PerInstance: serve.Recognize(func(discovery.Instance) http.RoundTripper {
		return discovery.InstanceTransport(cfg)
	})})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tr.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	require.Eventually(t, func() bool { return tr.Ready("taskdb") }, time.Minute, time.Millisecond)
	return &http.Client{Transport: tr}
}
