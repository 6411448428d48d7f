package serve

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	// idleTimeout is how long a connection may stay without a request.
	idleTimeout = 2 * time.Minute
	// lateAnswer is how long an answer is in the making before somebody looks
	// whether the client is still there.
	lateAnswer = time.Second
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
		return nil // what cannot be taken over cannot be parked
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

func isDone(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
