package kvstore

import (
	"context"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// wall is a network that can be cut between nodes, as a cable is: connections
// stay open, nothing comes through, and what was on its way arrives when it is
// mended. Packets are lost.
type wall struct {
	mu    sync.Mutex
	owner map[string]string // port → node
	cut   map[[2]string]bool
	moved chan struct{} // closed at the next change
}

func newWall() *wall {
	return &wall{owner: map[string]string{}, cut: map[[2]string]bool{}, moved: make(chan struct{})}
}

// split cuts every pair of nodes that stand in different groups.
func (w *wall) split(groups ...[]string) {
	w.change(func() {
		for i, g := range groups {
			for j, h := range groups {
				if i == j {
					continue
				}
				for _, a := range g {
					for _, b := range h {
						w.cut[[2]string{a, b}] = true
					}
				}
			}
		}
	})
}

// owns says whose a port is.
func (w *wall) owns(node string, port int) { w.change(func() { w.owner[strconv.Itoa(port)] = node }) }

func (w *wall) heal() { w.change(func() { clear(w.cut) }) }

func (w *wall) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.moved)
	w.moved = make(chan struct{})
}

// open reports whether from reaches who owns an address, and when to look again.
func (w *wall) open(from, address string) (bool, <-chan struct{}) {
	_, port, _ := net.SplitHostPort(address)
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.cut[[2]string{from, w.owner[port]}], w.moved
}

// wires gives the network as one node sees it.
func (w *wall) wires(node string) wires {
	return wires{
		dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			return w.dial(ctx, node, network, address)
		},
		gossip: func(m *memberlist.Config) error {
			t, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
				BindAddrs: []string{m.BindAddr}, BindPort: m.BindPort, Logger: m.Logger,
			})
			m.Transport = &walledGossip{NetTransport: t, wall: w, node: node}
			return err
		},
	}
}

func (w *wall) dial(ctx context.Context, node, network, address string) (net.Conn, error) {
	for {
		ok, moved := w.open(node, address)
		if ok {
			break
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
		}
	}
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &walledConn{Conn: c, wall: w, node: node, closed: make(chan struct{})}, nil
}

// walledConn is the dialling side of a connection; it holds up both directions.
type walledConn struct {
	net.Conn
	wall   *wall
	node   string
	once   sync.Once
	closed chan struct{}

	mu          sync.Mutex
	read, write time.Time // deadlines
}

func (c *walledConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if werr := c.wait(func() time.Time { return c.read }); werr != nil {
		return 0, werr
	}
	return n, err
}

func (c *walledConn) Write(p []byte) (int, error) {
	if err := c.wait(func() time.Time { return c.write }); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// wait returns when the network is whole, or at the deadline, or at the close.
func (c *walledConn) wait(deadline func() time.Time) error {
	for {
		ok, moved := c.wall.open(c.node, c.RemoteAddr().String())
		if ok {
			return nil
		}
		c.mu.Lock()
		at := deadline()
		c.mu.Unlock()
		if at.IsZero() {
			at = time.Now().Add(time.Hour)
		}
		// A deadline may be set while one waits, so it is looked at now and then.
		t := time.NewTimer(min(time.Until(at), 20*time.Millisecond))
		select {
		case <-moved:
		case <-c.closed:
			t.Stop()
			return net.ErrClosed
		case <-t.C:
			if !time.Now().Before(at) {
				return os.ErrDeadlineExceeded
			}
		}
		t.Stop()
	}
}

func (c *walledConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func (c *walledConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	c.read, c.write = t, t
	c.mu.Unlock()
	return c.Conn.SetDeadline(t)
}

func (c *walledConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.read = t
	c.mu.Unlock()
	return c.Conn.SetReadDeadline(t)
}

func (c *walledConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	c.write = t
	c.mu.Unlock()
	return c.Conn.SetWriteDeadline(t)
}

// walledGossip loses the packets that meet a cut.
type walledGossip struct {
	*memberlist.NetTransport
	wall *wall
	node string
}

func (g *walledGossip) WriteTo(b []byte, addr string) (time.Time, error) {
	return g.WriteToAddress(b, memberlist.Address{Addr: addr})
}

func (g *walledGossip) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if ok, _ := g.wall.open(g.node, a.Addr); !ok {
		return time.Now(), nil
	}
	return g.NetTransport.WriteToAddress(b, a)
}

func (g *walledGossip) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return g.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

func (g *walledGossip) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return g.wall.dial(ctx, g.node, "tcp", a.Addr)
}
