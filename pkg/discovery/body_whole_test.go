package discovery

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// noting tells whether it was closed.
type noting struct {
	io.Reader
	closed bool
}

func (n *noting) Close() error { n.closed = true; return nil }

func TestAShortBodyIsReadWhole(t *testing.T) {
	broken := errors.New("the source broke")
	for name, c := range map[string]struct {
		src    io.Reader
		length int64
		expect string
		whole  bool
		err    error
	}{
		"short":            {strings.NewReader("hello"), 5, "", true, nil},
		"byte by byte":     {iotest.OneByteReader(strings.NewReader("hello")), 5, "", true, nil},
		"end with data":    {iotest.DataErrReader(strings.NewReader("hello")), 5, "", true, nil},
		"beyond window":    {strings.NewReader("hello, world"), 12, "", false, nil},
		"length unknown":   {strings.NewReader("hello"), -1, "", false, nil},
		"expects to wait":  {strings.NewReader("hello"), 5, "100-continue", false, nil},
		"shorter":          {strings.NewReader("hell"), 5, "", true, errBodyLength},
		"longer":           {strings.NewReader("hello!"), 5, "", true, errBodyLength},
		"breaks off":       {io.MultiReader(strings.NewReader("he"), iotest.ErrReader(broken)), 5, "", true, broken},
		"breaks off (EOF)": {iotest.ErrReader(io.ErrUnexpectedEOF), 5, "", true, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			src := &noting{Reader: c.src}
			req, err := http.NewRequest("PUT", "http://store/", src)
			require.NoError(t, err)
			req.ContentLength = c.length
			req.Header.Set("Expect", c.expect)
			b, err := newReplayBody(req, 8)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.whole, src.closed, "what is read is closed")
			if err != nil || !c.whole {
				return
			}
			for range 2 { // each attempt has it from its start
				got, err := io.ReadAll(b.attempt())
				require.NoError(t, err)
				assert.Equal(t, "hello", string(got))
				b = b.rewind()
			}
		})
	}
}

// writes counts the writes on a connection.
type writes struct {
	net.Conn
	n *atomic.Int64
}

func (w writes) Write(b []byte) (int, error) {
	w.n.Add(1)
	return w.Conn.Write(b)
}

func TestAShortBodyGoesOutWithItsHeader(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	defer srv.Close()
	var n atomic.Int64
	rt := InstanceTransport(TransportConfig{})
	dial := rt.DialContext
	rt.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		return writes{c, &n}, err
	}
	defer rt.CloseIdleConnections()
	p := poolOf(srv.URL)
	p.view.Load().members[0].rt = rt
	tr := &Transport{cfg: p.cfg, pools: map[string]*pool{"store": p}}
	req, err := http.NewRequest("PUT", "http://store/", io.NopCloser(iotest.HalfReader(strings.NewReader("hello"))))
	require.NoError(t, err)
	req.ContentLength = 5
	resp, err := tr.RoundTrip(req)
	require.NoError(t, err)
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, errors.Join(err, resp.Body.Close()))
	require.Equal(t, "hello", string(got))
	require.EqualValues(t, 1, n.Load())
}
