package frontend

import (
	"bytes"
	"encoding/json"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/pkg/discovery/settings"
)

// suite is a frontend behind a real listener, over a master in memory.
type suite struct {
	t       testing.TB
	service *Service
	master  *memMaster
	URL     string
	client  *http.Client
}

func start(t testing.TB, change ...func(*Config)) *suite {
	return startWith(t, nil, change...)
}

// startWith is start with shared settings.
func startWith(t testing.TB, set *settings.Set, change ...func(*Config)) *suite {
	cfg := DefaultConfig()
	cfg.BodyGrace, cfg.Serve.ReadTimeout = 2*time.Minute, time.Minute // on a busy machine
	for _, c := range change {
		c(&cfg)
	}
	m := newMemMaster()
	s, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler), Instance: "f1", Version: "test", Master: m, Settings: set})
	require.NoError(t, err)
	srv := httptest.NewServer(s.server.Handler())
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		srv.Close()
	})
	return &suite{t: t, service: s, master: m, URL: srv.URL, client: &http.Client{Transport: newContract(t, transport)}}
}

// answer is a response that has been read.
type answer struct {
	*http.Response
	body []byte
}

// do sends a request with headers given as name, value, …
func (s *suite) do(method, path string, body io.Reader, header ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, body)
	require.NoError(s.t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(req)
	require.NoError(s.t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return answer{resp, b}
}

func (s *suite) get(path string, header ...string) answer {
	s.t.Helper()
	return s.do(http.MethodGet, path, nil, header...)
}

// post uploads b as an octet stream.
func (s *suite) post(query string, b []byte) answer {
	s.t.Helper()
	return s.do(http.MethodPost, "/newImage"+query, bytes.NewReader(b), "Content-Type", "application/octet-stream")
}

// problem expects an error and gives its document.
func (a answer) problem(t testing.TB, status int) fault.Problem {
	t.Helper()
	require.Equal(t, status, a.StatusCode, "%s", a.body)
	assert.Equal(t, fault.ContentType, a.Header.Get("Content-Type"))
	var p fault.Problem
	require.NoError(t, json.Unmarshal(a.body, &p))
	assert.Equal(t, status, p.Status)
	assert.Equal(t, a.Header.Get("X-Request-Id"), p.RequestID)
	assert.NotEmpty(t, p.Detail)
	return p
}

// nothing expects that the master was not asked to take anything in.
func (s *suite) nothing() {
	s.t.Helper()
	assert.Empty(s.t, s.master.began, "the master was called")
}

func testPNG(t testing.TB) []byte {
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, image.NewRGBA(image.Rect(0, 0, 8, 6))))
	return b.Bytes()
}

// giantPNG has a header that speaks of 50,000×50,000 pixels.
func giantPNG(t testing.TB) []byte {
	b := testPNG(t)
	copy(b[16:], []byte{0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50})
	sum := crc32.ChecksumIEEE(b[12:29])
	copy(b[29:], []byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
	return b
}
