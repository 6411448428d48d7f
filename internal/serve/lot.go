package serve

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// lot is where the connections of parked requests stand, and the listener by
// which they come back to the server. Make it with newLot.
type lot struct {
	addr   net.Addr
	back   chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	all   map[*parked]struct{}
	empty chan struct{} // made by who waits for the last one to go
}

func newLot() *lot {
	return &lot{back: make(chan net.Conn), closed: make(chan struct{}), all: map[*parked]struct{}{}}
}

// Accept gives the next connection that comes back, for http.Server.
func (l *lot) Accept() (net.Conn, error) {
	select {
	case c := <-l.back:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close lets no connection come back any more.
func (l *lot) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr is that of the listener by which the connections came first.
func (l *lot) Addr() net.Addr { return l.addr }

// giveBack hands a connection to the server, or closes it if that has ended.
func (l *lot) giveBack(c net.Conn) {
	select {
	case l.back <- c:
	case <-l.closed:
		_ = c.Close()
	}
}

func (l *lot) add(p *parked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[p] = struct{}{}
}

func (l *lot) remove(p *parked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, p)
	if len(l.all) == 0 && l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
}

// wakeAll ends what all of them wait for.
func (l *lot) wakeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.all {
		p.wake()
	}
}

// wait returns when nothing is parked any more. When ctx is done before, it
// breaks off the connections that are left, and fails.
func (l *lot) wait(ctx context.Context) error {
	l.mu.Lock()
	empty := make(chan struct{})
	if len(l.all) == 0 {
		close(empty)
	} else {
		l.empty = empty
	}
	l.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	left := len(l.all)
	for p := range l.all {
		p.breakOff()
	}
	l.mu.Unlock()
	return fmt.Errorf("%d waiting requests were broken off: %w", left, ctx.Err())
}

// resumed is a connection that comes back with what was read from it meanwhile.
type resumed struct {
	net.Conn
	head []byte
}

// Read gives what was read before, and then the rest.
func (c *resumed) Read(b []byte) (int, error) {
	if len(c.head) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.head)
	if c.head = c.head[n:]; len(c.head) == 0 {
		c.head = nil
	}
	return n, nil
}
