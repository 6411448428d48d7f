package frontend

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hand is a connection on which a test writes its request by hand.
type hand struct {
	t    testing.TB
	conn net.Conn
}

func (s *suite) dial() *hand {
	conn, err := (&net.Dialer{}).DialContext(s.t.Context(), "tcp", strings.TrimPrefix(s.URL, "http://"))
	require.NoError(s.t, err)
	h := &hand{s.t, conn}
	s.t.Cleanup(h.close)
	return h
}

func (h *hand) close() { _ = h.conn.Close() }

func (h *hand) write(text string) {
	_, err := io.WriteString(h.conn, text)
	require.NoError(h.t, err)
}

// answer reads the answer, which must come although the request is not whole.
func (h *hand) answer() answer {
	require.NoError(h.t, h.conn.SetReadDeadline(time.Now().Add(time.Minute)))
	resp, err := http.ReadResponse(bufio.NewReader(h.conn), &http.Request{Method: http.MethodPost})
	require.NoError(h.t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(h.t, err)
	return answer{resp, b}
}

// padded is the beginning of a PNG, n bytes long.
func padded(t testing.TB, n int) []byte {
	return append(testPNG(t)[:40], bytes.Repeat([]byte{0}, n-40)...)
}

func TestAnnouncedBodyOverTheLimitIsRefusedUnread(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxBody = 1000 })
	h := s.dial()
	h.write("POST /newImage HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n") // and not one byte of the body
	a := h.answer()
	assert.Contains(t, a.problem(t, 413).Detail, "1000")
	assert.True(t, a.Close, "the connection is given up, as the body was not read")
	s.nothing()

	h = s.dial()
	h.write("POST /newImage HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
	h.answer().problem(t, 413)
}

func TestChunkedBodyOverTheLimitIsRefused(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxBody = 50_000 })
	p := s.do(http.MethodPost, "/newImage", io.MultiReader(bytes.NewReader(padded(t, 50_001)))).problem(t, 413)
	assert.Contains(t, p.Detail, "50000")
	require.Error(t, <-s.master.ended, "the master must not take a part for the whole")

	// Within the limit, the length need not be known.
	a := s.do(http.MethodPost, "/newImage", io.MultiReader(bytes.NewReader(padded(t, 50_000))), "Content-Type", "image/png")
	assert.Equal(t, http.StatusAccepted, a.StatusCode, "%s", a.body)
}

func TestSmallChunkedBodyOverTheLimitIsNeverPassedOn(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxBody = 500 })
	s.do(http.MethodPost, "/newImage", io.MultiReader(bytes.NewReader(padded(t, 501)))).problem(t, 413)
	s.nothing()
}

func TestClientThatHangsUpMidwayLeavesNothing(t *testing.T) {
	s := start(t)
	h := s.dial()
	h.write("POST /newImage HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + string(padded(t, 40_000)))
	<-s.master.began
	h.close()
	require.Error(t, <-s.master.ended)
	_, _, n := s.master.only()
	assert.Zero(t, n)
}

func TestClientThatHangsUpEarlyReachesNobody(t *testing.T) {
	s := start(t)
	h := s.dial()
	h.write("POST /newImage HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + string(padded(t, 100)))
	require.NoError(t, h.conn.(*net.TCPConn).CloseWrite())
	h.answer().problem(t, 400)
	s.nothing()
}

func TestDrippingClientIsTimedOut(t *testing.T) {
	for name, before := range map[string]int{"before it is passed on": 60, "while it is passed on": 40_000} {
		t.Run(name, func(t *testing.T) {
			s := start(t, func(c *Config) { c.BodyGrace, c.BodyRate = 200*time.Millisecond, 1<<20 })
			h := s.dial()
			h.write("POST /newImage HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + string(padded(t, before)))
			stop := make(chan struct{})
			dripped := make(chan struct{})
			go func() {
				defer close(dripped)
				tick := time.NewTicker(10 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-tick.C:
						_, _ = h.conn.Write([]byte{0})
					case <-stop:
						return
					}
				}
			}()
			a := h.answer()
			close(stop)
			<-dripped
			assert.Contains(t, a.problem(t, 408).Detail, "slowly")
			_, _, n := s.master.only()
			assert.Zero(t, n)
		})
	}
}
