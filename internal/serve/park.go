package serve

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	// idleTimeout is how long a connection may stay without a request.
	idleTimeout = 2 * time.Minute
	// lateAnswer is how long an answer is in the making before somebody looks
	// whether the client is still there.
	lateAnswer = time.Second
	// maxAhead bounds what is kept of a client's next requests, in bytes.
	maxAhead = 64 << 10
)

// errParked ends the handling of a request that is answered elsewhere.
var errParked = errors.New("the request is parked")

// Nap is how a parked request waits. It ends at Until, when wake is called, and
// when the server stops; if the client leaves before, there is no answer.
type Nap struct {
	Until time.Time
	// Watch is called once and must not block. It has wake called, from anywhere and
	// as often as it likes, once there may be something to answer; leave ends that.
	Watch func(wake func()) (leave func())
	// Answer makes the answer, which is sent when it returns nil, or gives another
	// nap, before which it must have written nothing. The request's context ends
	// when the client leaves.
	Answer func(w http.ResponseWriter, r *http.Request) *Nap
}

// Park takes a request that is going to wait for long out of the HTTP server's
// hands, which keep two stacks and three buffers for it, some 20 KB, and lets it
// wait on one small stack. The connection goes back to the server with its next
// request. The answer has the header that has been set so far.
//
// The handler must return at once what Park returns, and touch neither c nor its
// request any more. Park returns nil where parking is not possible, as the request
// has a body, or its connection is not to be kept: then nothing has happened.
func Park(c echo.Context, n *Nap) error {
	r, w := c.Request(), c.Response()
	s, _ := r.Context().Value(serverKey{}).(*Server)
	switch {
	case s == nil, w.Committed, r.Method != http.MethodGet, r.ContentLength != 0:
		return nil
	case r.ProtoMajor != 1, r.ProtoMinor < 1, r.Close, isDone(s.draining), isDone(r.Context().Done()):
		return nil
	}
	header := w.Header()
	p := &parked{s: s, route: c.Path()}
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
	p.mu.Lock()
	p.conn = conn
	p.mu.Unlock()
	s.inFlight.Add(1)
	go p.run(r.WithContext(context.WithoutCancel(r.Context())), header, n)
	return errParked
}

// parked is a request that waits outside the server.
type parked struct {
	s     *Server
	route string
	// head is what the client has sent already of its next request.
	head []byte
	gone bool // the client has left
	one  [1]byte

	mu     sync.Mutex
	conn   net.Conn
	asleep bool // it reads, and may be woken
}

// run has the request answered, waits for the next one, and hands the connection
// back with it. Nothing but that costs stack before the answer.
func (p *parked) run(r *http.Request, header http.Header, n *Nap) {
	defer p.s.parks.remove(p)
	keep := false
	for n != nil {
		leave := func() {}
		p.sleep(n.Until, func() { leave = n.Watch(p.wake) })
		leave()
		if p.gone {
			break
		}
		n, keep = p.answer(r, header, n)
	}
	p.s.inFlight.Add(-1)
	if keep && len(p.head) == 0 {
		// It goes back no earlier, as the server gives a new connection only
		// READ_TIMEOUT for its first request.
		p.sleep(time.Now().Add(idleTimeout), nil)
	}
	if !keep || p.gone || len(p.head) == 0 {
		_ = p.conn.Close()
		return
	}
	_ = p.conn.SetDeadline(time.Time{})
	p.s.parks.giveBack(&resumed{Conn: p.conn, head: p.head})
}

// sleep reads what the client sends, for which there is no hurry unless there was
// no answer to wait for, until the time is up, it is woken, the server stops, or
// the client has gone.
func (p *parked) sleep(until time.Time, begun func()) {
	p.mu.Lock()
	p.asleep = true
	_ = p.conn.SetReadDeadline(until)
	p.mu.Unlock()
	if begun != nil {
		begun()
	}
	if isDone(p.s.draining) {
		p.wake()
	}
	for p.read() {
		if begun == nil {
			break
		}
	}
	p.mu.Lock()
	p.asleep = false
	p.mu.Unlock()
}

// read takes what has come of the next request; false when the deadline is over,
// or the client has gone.
func (p *parked) read() bool {
	buf := p.one[:]
	if len(p.head) > 0 {
		buf = make([]byte, 4096)
	}
	n, err := p.conn.Read(buf)
	p.head = append(p.head, buf[:n]...)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false
	case err != nil, len(p.head) > maxAhead:
		p.gone = true
		return false
	}
	return true
}

// wake ends a sleep, and does nothing to whoever has the connection later.
func (p *parked) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asleep {
		_ = p.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// breakOff closes the connection.
func (p *parked) breakOff() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil {
		_ = p.conn.Close()
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
