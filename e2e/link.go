package e2e

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Link is the way to one process, which the test can cut. It passes on what
// comes to its own address, so a process that announces that address is reached
// by everybody through it.
type Link struct {
	ln     net.Listener
	target string
	all    sync.WaitGroup

	mu    sync.Mutex
	open  chan struct{} // closed while bytes may pass
	deaf  bool          // new connections are refused
	conns map[*net.TCPConn]struct{}
	ended bool
}

// NewLink listens until the test ends.
func NewLink(t testing.TB, target string) *Link {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &Link{ln: ln, target: target, open: make(chan struct{}), conns: map[*net.TCPConn]struct{}{}}
	close(l.open)
	l.all.Go(l.serve)
	t.Cleanup(l.close)
	return l
}

// Address is where the link listens.
func (l *Link) Address() string { return l.ln.Addr().String() }

// Stall holds all bytes back, in both directions, as a cable that is pulled:
// connections stay, and what was sent meanwhile arrives after Heal.
func (l *Link) Stall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.open:
		l.open = make(chan struct{})
	default:
	}
}

// Refuse resets all connections, and new ones at once.
func (l *Link) Refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deaf = true
	l.drop()
}

// Heal ends Stall and Refuse.
func (l *Link) Heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deaf = false
	select {
	case <-l.open:
	default:
		close(l.open)
	}
}

// drop resets all connections; the lock is held.
func (l *Link) drop() {
	for c := range l.conns {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
}

func (l *Link) close() {
	_ = l.ln.Close()
	l.Heal()
	l.mu.Lock()
	l.ended = true
	l.drop()
	l.mu.Unlock()
	l.all.Wait()
}

func (l *Link) serve() {
	for {
		c, err := l.ln.Accept()
		if err != nil {
			return
		}
		in, _ := c.(*net.TCPConn)
		if !l.keep(in) {
			continue
		}
		l.all.Go(func() { l.pass(in) })
	}
}

// keep notes a connection, or resets it.
func (l *Link) keep(c *net.TCPConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.deaf || l.ended {
		_ = c.SetLinger(0)
		_ = c.Close()
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

func (l *Link) forget(c *net.TCPConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	_ = c.Close()
}

// wait returns when bytes may pass.
func (l *Link) wait() {
	l.mu.Lock()
	open := l.open
	l.mu.Unlock()
	<-open
}

// pass carries one connection, to its end. Where the target refuses, so does it.
func (l *Link) pass(in *net.TCPConn) {
	defer l.forget(in)
	l.wait()
	c, err := net.Dial("tcp", l.target)
	if err != nil {
		_ = in.SetLinger(0)
		return
	}
	out, _ := c.(*net.TCPConn)
	if !l.keep(out) {
		return
	}
	defer l.forget(out)
	var both sync.WaitGroup
	both.Go(func() { l.pump(out, in) })
	both.Go(func() { l.pump(in, out) })
	both.Wait()
}

// pump copies one direction. An end is passed on as one, and a reset as a reset.
func (l *Link) pump(to, from *net.TCPConn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		l.wait()
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				_ = from.SetLinger(0)
				_ = from.Close()
				return
			}
		}
		if errors.Is(err, io.EOF) {
			_ = to.CloseWrite()
			return
		}
		if err != nil {
			_ = to.SetLinger(0)
			_ = to.Close()
			return
		}
	}
}
