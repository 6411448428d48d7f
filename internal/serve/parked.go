package serve

import (
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// maxAhead bounds what is kept of a client's next requests, in bytes.
const maxAhead = 64 << 10

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
