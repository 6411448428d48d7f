package serve

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/labstack/echo/v4"
)

// idleTimeout is how long a connection may stay without a request.
const idleTimeout = 2 * time.Minute

// errParked ends the handling of a request that is answered elsewhere.
var errParked = errors.New("the request is parked")

// Park takes a request that is going to wait for long out of the HTTP server's
// hands, which keep two stacks and three buffers for it, some 20 KB, and has
// answer called for it on a small stack of its own, with a context that ends
// when the client leaves. The answer is sent when answer returns, and the
// connection goes back to the server with its next request. The header that has
// been set so far is kept.
//
// The handler must return at once what Park returns, and touch neither c nor the
// request any more. It returns nil where parking is not possible, as the request
// has a body, or its connection is not to be kept: then nothing has happened.
func Park(c echo.Context, answer http.HandlerFunc) error {
	r, w := c.Request(), c.Response()
	s, _ := r.Context().Value(serverKey{}).(*Server)
	switch {
	case s == nil, w.Committed, r.Method != http.MethodGet, r.ContentLength != 0:
		return nil
	case r.ProtoMajor != 1, r.ProtoMinor < 1, r.Close, isDone(s.draining), isDone(r.Context().Done()):
		return nil
	}
	header := w.Header()
	p := &parked{s: s, route: c.Path(), answer: answer, read: make(chan struct{})}
	// Added before it leaves the server's own books, so that a stop does not miss it.
	s.parks.add(p)
	conn, buffered, err := w.Hijack()
	if err != nil {
		s.parks.remove(p)
		return nil //nolint:nilerr // a writer that cannot be hijacked is one that cannot be parked
	}
	// What the client has sent ahead of its time is kept for the server.
	ahead, _ := buffered.Peek(buffered.Reader.Buffered())
	p.head = append([]byte(nil), ahead...)
	if back, ok := conn.(*resumed); ok {
		conn, p.head = back.Conn, append(p.head, back.head...)
	}
	s.parks.drive(p, conn)
	s.inFlight.Add(1)
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	go p.run(r.WithContext(ctx), cancel, &reply{header: header})
	return errParked
}

// parked is a request that waits outside the server.
type parked struct {
	s      *Server
	conn   net.Conn // the lot's mutex guards its setting
	route  string
	answer http.HandlerFunc
	// head is what the client had sent already of its next request.
	head []byte

	// read is closed when a byte of the next request has come, or none will, for
	// the reason err.
	read chan struct{}
	next []byte
	err  error
}

// run has the request answered, and then waits for the next one.
func (p *parked) run(r *http.Request, left context.CancelFunc, w *reply) {
	defer p.s.parks.remove(p)
	go p.listen(left)
	keep := p.serve(r, w)
	left()
	p.s.inFlight.Add(-1)
	if !keep {
		_ = p.conn.Close()
		<-p.read
		return
	}
	// Only with bytes in hand does the connection go back: the server would give a
	// new one no longer than READ_TIMEOUT to begin its first request.
	deadline := time.Now().Add(idleTimeout)
	if len(p.head) > 0 {
		deadline = time.Unix(1, 0)
	}
	_ = p.conn.SetReadDeadline(deadline)
	select {
	case <-p.read:
	case <-p.s.parks.closed:
		_ = p.conn.Close()
		<-p.read
	}
	head := append(p.head, p.next...)
	if len(head) == 0 || p.err != nil && !errors.Is(p.err, os.ErrDeadlineExceeded) {
		_ = p.conn.Close()
		return
	}
	_ = p.conn.SetDeadline(time.Time{})
	p.s.parks.giveBack(&resumed{Conn: p.conn, head: head})
}

// serve has the answer made and sends it, and reports whether the connection may
// be kept.
func (p *parked) serve(r *http.Request, w *reply) (keep bool) {
	ctx := r.Context()
	err := p.protect(w, r)
	if ctx.Err() != nil || errors.Is(err, http.ErrAbortHandler) {
		return false // nobody is there to read it, or nobody shall
	}
	if err != nil {
		w.failed()
	}
	keep = !p.s.lingers.Load()
	_ = p.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	size, werr := w.send(p.conn, keep)
	p.s.report(ctx, outcome{
		method: r.Method, path: r.URL.Path, route: p.route, status: w.status, size: size, took: time.Since(arrivalOf(ctx).begun), err: err,
	})
	return keep && werr == nil
}

// protect turns a panic into an error, as for any other request.
func (p *parked) protect(w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicked(v)
		}
	}()
	p.answer(w, r)
	return nil
}

// listen notes when the client leaves, or begins its next request.
func (p *parked) listen(left context.CancelFunc) {
	defer close(p.read)
	var b [1]byte
	n, err := p.conn.Read(b[:])
	p.next, p.err = b[:n], err
	if err != nil {
		left()
	}
}

func isDone(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
