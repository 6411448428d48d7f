package kvstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// handshakeTime is how long whoever connects may take to prove that it has the key.
	handshakeTime = 5 * time.Second
	// maxHandshakes bounds the connections that have not done so yet.
	maxHandshakes = 128
)

// dialer opens connections to other nodes; tests put a faulty network in its place.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// raftStream carries Raft between nodes: TLS 1.3 in which both sides prove to
// have the cluster's key. What does not is dropped before Raft sees a byte of it.
type raftStream struct {
	ln        net.Listener
	tls       *tls.Config
	advertise raftAddr
	dial      dialer
	log       *slog.Logger
	often     *occasional

	ready chan net.Conn
	slots chan struct{}
	done  chan struct{}
	wg    sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// raftAddr is an address in the form in which the configuration holds it.
type raftAddr string

// Network names the protocol.
func (a raftAddr) Network() string { return "tcp" }

// String gives host:port.
func (a raftAddr) String() string { return string(a) }

// newRaftStream takes over ln and accepts at once, until Close.
func newRaftStream(ln net.Listener, conf *tls.Config, advertise string, dial dialer, log *slog.Logger, often *occasional) *raftStream {
	s := &raftStream{
		ln: ln, tls: conf, advertise: raftAddr(advertise), dial: dial, log: log, often: often,
		ready: make(chan net.Conn), slots: make(chan struct{}, maxHandshakes), done: make(chan struct{}),
		conns: map[net.Conn]struct{}{},
	}
	s.wg.Go(s.listen)
	return s
}

// listen hands every new connection to a handshake of its own, so that a silent
// one keeps nobody waiting.
func (s *raftStream) listen() {
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			select {
			case <-s.done:
				return
			case <-time.After(50 * time.Millisecond): // out of files, most likely
				continue
			}
		}
		select {
		case s.slots <- struct{}{}:
			s.wg.Go(func() {
				defer func() { <-s.slots }()
				s.greet(conn)
			})
		default:
			s.refuse(conn, errors.New("too many connections that have not shown the key"))
		}
	}
}

// greet makes the handshake and passes the connection on.
func (s *raftStream) greet(raw net.Conn) {
	conn := s.track(tls.Server(raw, s.tls))
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTime)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		s.refuse(conn, err)
		return
	}
	select {
	case s.ready <- conn:
	case <-s.done:
		_ = conn.Close()
	}
}

// refuse drops a connection, and says so once in a while.
func (s *raftStream) refuse(conn net.Conn, why error) {
	from := conn.RemoteAddr().String()
	_ = conn.Close()
	select {
	case <-s.done:
		return
	default:
	}
	if ok, missed := s.often.allow("raft stranger"); ok {
		s.log.Warn("somebody without this cluster's key was kept off the Raft port",
			"from", from, "setting", setting("GOSSIP_KEY"), "error", why, "leftOut", missed)
	}
}

// Accept gives the next connection of another node.
func (s *raftStream) Accept() (net.Conn, error) {
	select {
	case conn := <-s.ready:
		return conn, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

// Dial connects to another node.
func (s *raftStream) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	if address == nowhere {
		return nil, errors.New("dial raft: this node is gone")
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	raw, err := s.dial(ctx, "tcp", string(address))
	if err != nil {
		return nil, fmt.Errorf("dial raft: %w", err)
	}
	conn := s.track(tls.Client(raw, s.tls))
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dial raft at %s: %w", address, err)
	}
	return conn, nil
}

// Addr is the address that the others know.
func (s *raftStream) Addr() net.Addr { return s.advertise }

// Close ends the listener and all connections: Raft's transport leaves those
// that it is reading from open.
func (s *raftStream) Close() error {
	s.mu.Lock()
	select {
	case <-s.done:
		s.mu.Unlock()
		return nil
	default:
	}
	close(s.done)
	for c := range s.conns {
		// The TLS farewell would wait for a peer that does not read.
		_ = c.(*raftConn).Conn.NetConn().Close()
	}
	s.mu.Unlock()
	err := s.ln.Close()
	s.wg.Wait()
	return err
}

// raftConn is a connection that its stream knows of.
type raftConn struct {
	*tls.Conn
	stream *raftStream
}

func (s *raftStream) track(conn *tls.Conn) *raftConn {
	c := &raftConn{conn, s}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
	select {
	case <-s.done:
		_ = conn.NetConn().Close()
	default:
	}
	return c
}

// Close ends the connection at once, without the farewell of TLS.
func (c *raftConn) Close() error {
	c.stream.mu.Lock()
	delete(c.stream.conns, c)
	c.stream.mu.Unlock()
	return c.NetConn().Close()
}
