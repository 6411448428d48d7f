package client_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/leaktest"
	"imagemill/pkg/client"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const id = "01890a5d-ac96-774b-bcce-b302099a8057"

// server answers with the steps one after the other, the last one for ever, and
// keeps what it was asked.
type server struct {
	URL   string
	mu    sync.Mutex
	steps []http.HandlerFunc
	asked []asked
}

type asked struct {
	method, path, query, auth string
	header                    http.Header
	length                    int64
	body                      []byte
}

// serve starts a server and a client of it that hardly pauses.
func serve(t *testing.T, steps ...http.HandlerFunc) (*server, *client.Client) {
	s := &server{steps: steps}
	srv := httptest.NewServer(s)
	s.URL = srv.URL
	c, err := client.New(client.Config{URL: srv.URL, Backoff: time.Microsecond, APIKey: "0123456789abcdef"})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); srv.Close() })
	return s, c
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := asked{method: r.Method, path: r.URL.Path, query: r.URL.RawQuery, auth: r.Header.Get("Authorization"), header: r.Header, length: r.ContentLength}
	s.mu.Lock()
	step := s.steps[min(len(s.asked), len(s.steps)-1)]
	s.asked = append(s.asked, a)
	n := len(s.asked) - 1
	s.mu.Unlock()
	if r.Method == http.MethodPost {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.asked[n].body = body
		s.mu.Unlock()
	}
	step(w, r)
}

func (s *server) requests() []asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]asked(nil), s.asked...)
}

// answer is a step with a JSON body.
func answer(status int, v any, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if status >= 400 {
			w.Header().Set("Content-Type", "application/problem+json")
		}
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
}

// hangUp is a step that breaks the connection.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// busy is a step that asks for patience.
func busy(status int) http.HandlerFunc {
	return answer(status, map[string]any{"type": "urn:imagemill:problem:unavailable", "status": status}, "Retry-After", "0")
}

func state(s string) http.HandlerFunc {
	return answer(http.StatusOK, map[string]any{"id": id, "state": s})
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// picture is a step that serves b as a frontend does, and breaks off after most
// bytes of its answer, if that is 0 or more.
func picture(b []byte, most int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "image/png")
		h.Set("ETag", `"`+digest(b)+`"`)
		part, status := b, http.StatusOK
		var from int
		if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); n == 1 && r.Header.Get("If-Range") == h.Get("ETag") {
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(b)-1, len(b)))
			part, status = b[from:], http.StatusPartialContent
		}
		h.Set("Content-Length", fmt.Sprint(len(part)))
		w.WriteHeader(status)
		if most >= 0 && most < len(part) {
			_, _ = w.Write(part[:most])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(part)
	}
}
