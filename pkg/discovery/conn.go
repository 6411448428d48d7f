package discovery

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// countedConn counts what is written, so that a request that failed can be told
// from one of which nothing went out.
type countedConn struct {
	net.Conn
	written atomic.Int64
}

func countedDial(d *net.Dialer) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &countedConn{Conn: conn}, nil
	}
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}

// ReadFrom keeps the kernel's shortcuts for copying files and sockets.
func (c *countedConn) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.Conn, r)
	c.written.Add(n)
	return n, err
}

// trail records how far an attempt has got. The carrier may call it from
// goroutines of its own, even after the attempt has ended.
type trail struct {
	asked   atomic.Bool // a connection was asked for
	got     atomic.Bool // and was there
	reused  atomic.Bool // which had served before
	headers atomic.Bool // all headers were handed to it
	conn    atomic.Pointer[countedConn]
	before  atomic.Int64 // written on conn by earlier requests
}

func (t *trail) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { t.asked.Store(true) },
		GotConn: func(info httptrace.GotConnInfo) {
			if conn, ok := info.Conn.(*countedConn); ok {
				t.before.Store(conn.written.Load())
				t.conn.Store(conn)
			}
			t.reused.Store(info.Reused)
			t.got.Store(true)
		},
		WroteHeaders: func() { t.headers.Store(true) },
	}
}

// neverReached tells whether it is certain that no server has seen the request
// that failed with err: there was no connection, or nothing was written, or not
// all of the headers. A carrier that leaves no trail gives no certainty.
func (t *trail) neverReached(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	if !t.asked.Load() {
		return false
	}
	if !t.got.Load() || !t.headers.Load() {
		return true
	}
	conn := t.conn.Load()
	return conn != nil && conn.written.Load() == t.before.Load()
}

// unfit tells whether the request was refused before a connection was asked for:
// a malformed header, for example. Only the standard carrier is known to ask.
func (t *trail) unfit(carrier http.RoundTripper) bool {
	_, standard := carrier.(*http.Transport)
	return standard && !t.asked.Load()
}
