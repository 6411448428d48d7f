package gossip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// settingsStream is the first byte of a stream that carries settings. None of
// Serf's own begins with it.
const settingsStream = 0xE5

// maxUnsorted bounds the streams whose first byte has not come yet; one more is
// closed.
const maxUnsorted = 256

// wire is Serf's transport, with the streams that carry settings taken out of it.
type wire struct {
	*memberlist.NetTransport
	ip   net.IP // under which others reach the member
	port int
	// reach tells whether an address can be reached. Tests part networks by it.
	reach   func(addr string) bool
	timeout time.Duration

	serf     chan net.Conn
	settings chan net.Conn
	ctx      context.Context // done when it is shut down
	cancel   context.CancelFunc
	sorters  sync.WaitGroup

	mu       sync.Mutex
	unsorted map[net.Conn]struct{} // nil once it is shut down
}

var _ memberlist.NodeAwareTransport = (*wire)(nil)

// errCut is what an address gives that cannot be reached.
var errCut = errors.New("network is cut")

func newWire(inner *memberlist.NetTransport, timeout time.Duration, reach func(string) bool) *wire {
	if reach == nil {
		reach = func(string) bool { return true }
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &wire{
		NetTransport: inner, reach: reach, timeout: timeout, ctx: ctx, cancel: cancel,
		serf: make(chan net.Conn), settings: make(chan net.Conn),
		unsorted: map[net.Conn]struct{}{},
	}
	w.sorters.Go(w.sortAll)
	return w
}

// sortAll goes on until Shutdown, also while the inner transport shuts down,
// which waits for somebody to take its last streams.
func (w *wire) sortAll() {
	for {
		select {
		case conn := <-w.NetTransport.StreamCh():
			if w.hold(conn) {
				w.sorters.Go(func() { w.sort(conn) })
			}
		case <-w.ctx.Done():
			return
		}
	}
}

// hold takes a stream among those that are not sorted yet.
func (w *wire) hold(conn net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unsorted == nil || len(w.unsorted) >= maxUnsorted {
		_ = conn.Close()
		return false
	}
	w.unsorted[conn] = struct{}{}
	return true
}

// sort reads a stream's first byte and hands it on. One that says nothing is
// closed.
func (w *wire) sort(conn net.Conn) {
	first := make([]byte, 1)
	err := conn.SetReadDeadline(time.Now().Add(w.timeout))
	if err == nil {
		_, err = io.ReadFull(conn, first)
	}
	if err == nil {
		err = conn.SetReadDeadline(time.Time{})
	}
	w.mu.Lock()
	delete(w.unsorted, conn)
	w.mu.Unlock()
	if err != nil {
		_ = conn.Close()
		return
	}
	to := w.settings
	if first[0] != settingsStream {
		to, conn = w.serf, &peeked{Conn: conn, first: first}
	}
	select {
	case to <- conn:
	case <-w.ctx.Done():
		_ = conn.Close()
	}
}

// peeked is a stream whose first byte was read already.
type peeked struct {
	net.Conn
	first []byte
}

func (p *peeked) Read(b []byte) (int, error) {
	if len(p.first) == 0 || len(b) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.first)
	p.first = p.first[n:]
	return n, nil
}

// Shutdown closes everything and waits until it is closed.
func (w *wire) Shutdown() error {
	err := w.NetTransport.Shutdown()
	w.mu.Lock()
	w.cancel()
	for conn := range w.unsorted {
		_ = conn.Close()
	}
	w.unsorted = nil
	w.mu.Unlock()
	w.sorters.Wait()
	return err
}

// FinalAdvertiseAddr is what others are told, whatever Serf was configured with.
func (w *wire) FinalAdvertiseAddr(string, int) (net.IP, int, error) { return w.ip, w.port, nil }

// StreamCh gives the streams that are Serf's.
func (w *wire) StreamCh() <-chan net.Conn { return w.serf }

// WriteTo sends a packet; one to an address that cannot be reached vanishes, as
// packets do.
func (w *wire) WriteTo(b []byte, addr string) (time.Time, error) {
	if !w.reach(addr) {
		return time.Now(), nil
	}
	return w.NetTransport.WriteTo(b, addr)
}

// WriteToAddress is WriteTo for a named member.
func (w *wire) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return w.WriteTo(b, a.Addr)
}

// DialTimeout opens a stream of Serf's.
func (w *wire) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(w.ctx, timeout)
	defer cancel()
	return w.dial(ctx, addr)
}

// DialAddressTimeout is DialTimeout for a named member.
func (w *wire) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return w.DialTimeout(a.Addr, timeout)
}

func (w *wire) dial(ctx context.Context, addr string) (net.Conn, error) {
	if !w.reach(addr) {
		return nil, fmt.Errorf("dial %s: %w", addr, errCut)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
}

// dialSettings opens a stream that carries settings.
func (w *wire) dialSettings(ctx context.Context, _, addr string) (net.Conn, error) {
	conn, err := w.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetWriteDeadline(deadline)
	}
	if _, err := conn.Write([]byte{settingsStream}); err != nil {
		return nil, errors.Join(fmt.Errorf("open settings stream to %s: %w", addr, err), conn.Close())
	}
	_ = conn.SetWriteDeadline(time.Time{})
	return conn, nil
}

// Accept gives the next stream that carries settings, as a net.Listener does.
func (w *wire) Accept() (net.Conn, error) {
	select {
	case conn := <-w.settings:
		return conn, nil
	case <-w.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close is the listener's, and does nothing: Shutdown closes the port.
func (w *wire) Close() error { return nil }

// Addr is what others are told.
func (w *wire) Addr() net.Addr { return &net.TCPAddr{IP: w.ip, Port: w.port} }
