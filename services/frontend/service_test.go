package frontend

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/services/imagemaster"
)

func TestWrongConfigNamesTheSetting(t *testing.T) {
	require.NoError(t, DefaultConfig().Validate())
	for want, change := range map[string]func(*Config){
		"API_KEYS":                            func(c *Config) { c.APIKeys = []string{"short"} },
		"key 2 is shorter":                    func(c *Config) { c.APIKeys = []string{"k-0f3a9c41d2b7e658", "short"} },
		"PUBLISHED":                           func(c *Config) { c.Published = "0.0.0.0" },
		"IMAGEMILL_FRONTEND_API_KEYS to keys": func(c *Config) { c.Published = "192.0.2.7" },
		"MAX_BODY":                            func(c *Config) { c.MaxBody = 0 },
		"BODY_RATE":                           func(c *Config) { c.BodyRate = 0 },
		"MAX_UPLOADS":                         func(c *Config) { c.MaxUploads = 0 },
		"BODY_GRACE":                          func(c *Config) { c.BodyGrace = time.Millisecond },
		"INPUT_PIXELS":                        func(c *Config) { c.InputPixels = 0 },
		"SIDE":                                func(c *Config) { c.Side = 0 },
		"LISTEN":                              func(c *Config) { c.Serve.Listen = "nonsense" },
		"PRESETS":                             func(c *Config) { c.Presets = filepath.Join(t.TempDir(), "missing") },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		_, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler), Instance: "f1", Master: newMemMaster()})
		assert.ErrorContains(t, err, want)
	}
	_, err := New(DefaultConfig(), Deps{})
	assert.ErrorContains(t, err, "Deps")
}

func TestPresetsOfAFileAreAdded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "presets.json")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	write(`{"icon":{"renditions":[{"operations":[{"op":"resize","width":16}]}]},"small":{"renditions":[{"quality":3}]}}`)
	s := start(t, func(c *Config) { c.Presets = file })
	assert.Equal(t, http.StatusAccepted, s.post("?preset=icon", testPNG(t)).StatusCode)
	img, _, _ := s.master.only()
	assert.Contains(t, string(img.upload.Pipeline), `"width":16`)
	assert.Equal(t, http.StatusAccepted, s.post("?preset=thumbnail", testPNG(t)).StatusCode, "those built in stay")
	assert.Contains(t, s.post("?preset=x", testPNG(t)).problem(t, 400).Detail, "default, icon, large, medium, small, thumbnail")

	for text, want := range map[string]string{
		`[]`: "object of presets", `{"icon":{"renditions":[{"widht":1}]}}`: `"icon": renditions[0].widht`,
	} {
		write(text)
		_, err := loadPresets(file)
		assert.ErrorContains(t, err, want)
	}
}

// running runs a frontend and gives it when it listens, with what stops it.
func running(t *testing.T, cfg Config, m Master) (s *Service, stop func() error) {
	s, err := New(cfg, Deps{
		Log: slog.New(slog.DiscardHandler), Instance: "f1", Version: "test", Master: m,
		Missing: func() []string { return []string{"imagemaster"} },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ready := func() bool { return s.URL() != "" && (s.internal == nil || s.internal.URL() != "") }
	require.Eventually(t, ready, time.Minute, time.Millisecond)
	return s, func() error { cancel(); return <-done }
}

func fetch(t *testing.T, url string) (int, string) {
	transport := &http.Transport{DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: transport}).Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

func TestInternalListenerShowsWhatThePublicOneHides(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Serve.Listen, cfg.Internal, cfg.APIKeys = "127.0.0.1:0", "127.0.0.1:0", []string{key}
	s, stop := running(t, cfg, newMemMaster())
	for _, path := range []string{"/metrics", "/config", "/services"} {
		status, _ := fetch(t, s.URL()+path)
		assert.Equal(t, http.StatusNotFound, status, path)
		status, body := fetch(t, s.internal.URL()+path)
		assert.Equal(t, http.StatusOK, status, path)
		assert.NotContains(t, body, key, "secrets stay secret")
	}
	status, body := fetch(t, s.URL()+"/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Contains(t, body, "imagemaster")
	_, body = fetch(t, s.internal.URL()+"/metrics")
	assert.Contains(t, body, `route="/readyz"`, "the measurements are the public server's")
	require.NoError(t, stop())
}

func TestAPortPublishedOnLoopbackNeedsNoKeys(t *testing.T) {
	for _, c := range []struct {
		published string
		keys      []string
		served    bool
	}{
		{"127.0.0.1", nil, true}, {"::1", nil, true}, {"[::1]", nil, true}, {"localhost", nil, true},
		{"0.0.0.0", []string{key}, true}, {"", []string{key}, true}, {"", nil, false},
	} {
		cfg := DefaultConfig()
		cfg.Serve.Listen, cfg.Published, cfg.APIKeys = "0.0.0.0:0", c.published, c.keys
		if c.served {
			_, stop := running(t, cfg, newMemMaster())
			require.NoError(t, stop(), c.published)
			continue
		}
		s, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler), Instance: "f1", Master: newMemMaster()})
		require.NoError(t, err)
		require.ErrorContains(t, s.Run(t.Context()), "nothing protects it")
	}
}

func TestLongPollAnswersWhenTheFrontendStops(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Serve.Listen, cfg.Serve.Grace = "127.0.0.1:0", 45*time.Second // below the poll
	m := newMemMaster()
	m.polled = make(chan struct{}, 1)
	id := m.add(imagemaster.StateInProgress, nil)
	s, stop := running(t, cfg, m)
	got := make(chan string, 1)
	go func() {
		_, body := fetch(t, s.URL()+"/image/isReady?wait=60s&id="+id)
		got <- body
	}()
	<-m.polled
	require.NoError(t, stop(), "within the grace time")
	var st imagemaster.Status
	require.NoError(t, json.NewDecoder(strings.NewReader(<-got)).Decode(&st))
	assert.Equal(t, imagemaster.StateInProgress, st.State)
}
