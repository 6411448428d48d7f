package kvstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lines collects a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// count counts the lines with a text.
func (l *lines) count(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// throw sends bytes to a TCP port and waits for the end of the connection.
func throw(t *testing.T, address string, b []byte) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if !assert.NoError(t, err) {
		return
	}
	defer func() { _ = c.Close() }()
	assert.NoError(t, c.SetDeadline(time.Now().Add(5*time.Second)))
	_, _ = c.Write(b)
	_ = c.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, c)
}

// garbage is what strangers send: nothing, noise, other protocols, and what
// begins as the real thing.
func garbage(t *testing.T) [][]byte {
	t.Helper()
	noise := make([]byte, 64<<10)
	_, err := rand.Read(noise)
	require.NoError(t, err)
	return [][]byte{
		nil, {0}, noise, noise[:7], bytes.Repeat([]byte{0xff}, 4096),
		[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), []byte("SSH-2.0-x\r\n"),
		{22, 3, 1, 0xff, 0xff}, {10, 0xff, 0xff, 0xff, 0xff}, {6, 0x84, 0xa5}, {244, 255, 1}, // TLS, encrypted gossip, push/pull, label
	}
}

// Garbage on the gossip and Raft ports harms nothing and is told once.
func TestClusterGarbage(t *testing.T) {
	f := newFleet(t, 3, steady)
	log := &lines{}
	f.log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	f.start()
	f.everywhere("before")
	l := f.leader()
	cfg := f.config(0).Cluster
	thrown := garbage(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, b := range thrown {
				throw(t, cfg.RaftListen, b)
				throw(t, cfg.GossipListen, b)
				packet, err := net.Dial("udp", cfg.GossipListen)
				if assert.NoError(t, err) {
					_, _ = packet.Write(b[:min(len(b), 1400)])
					_ = packet.Close()
				}
			}
		})
	}
	all.Wait()
	f.everywhere("after")
	assert.Equal(t, l, f.leader(), "the leader did not change")
	assert.Equal(t, 1, log.count("kept off the Raft port"))
	assert.Equal(t, 1, log.count("kept out of gossip"))
}

// A silent connection holds nothing up, and many of them only keep out others
// that have not shown the key either.
func TestRaftPortSilence(t *testing.T) {
	f := newFleet(t, 3, nil).start()
	var held []net.Conn
	for range 2 * maxHandshakes {
		c, err := net.Dial("tcp", f.config(0).Cluster.RaftListen)
		require.NoError(t, err)
		held = append(held, c)
	}
	f.everywhere("meanwhile")
	for _, c := range held {
		require.NoError(t, c.Close())
	}
	f.everywhere("afterwards")
}

// A node with another key is kept out, and each side says so once.
func TestClusterWrongKey(t *testing.T) {
	other := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k3Jd92ls"), 4))
	f := newFleet(t, 4, func(i int, c *Config) {
		if c.Cluster.Expect = 3; i == 3 {
			c.Cluster.GossipKey, c.Cluster.Expect = other, 0
		}
	})
	log := &lines{}
	f.log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	f.begin(0, 1, 2)
	f.ready()
	f.begin(3)
	eventually(t, func() bool { return log.count("kept out of gossip") > 0 })
	raftOf := f.nodes[3].node.cluster
	stream, err := raftTLS(other, "")
	require.NoError(t, err)
	s := &raftStream{tls: stream, dial: raftOf.wires.dial, done: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	for range 20 {
		_, err = s.Dial(f.nodes[0].node.member.Load().address, time.Minute)
		require.ErrorIs(t, err, errStranger)
	}
	f.nodes[f.leader()].put("k", "v")
	for i := range 3 {
		eventually(t, func() bool { return len(f.nodes[i].node.cluster.peers()) == 3 })
		assert.LessOrEqual(t, log.count(fmt.Sprintf("kept out of gossip, for want of this cluster's key or of sense\" node=%d", i)), 1)
		assert.LessOrEqual(t, log.count(fmt.Sprintf("kept off the Raft port\" node=%d", i)), 1)
	}
	assert.Len(t, f.nodes[3].node.cluster.peers(), 1)
	assert.Equal(t, []string{"raft leader"}, f.nodes[3].missing())
	f.nodes[3].cfg.LeaderWait = 0
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, err := f.nodes[3].try(ctx, "GET", "/v1/kv/k", nil)
	require.NoError(t, err)
	assert.Equal(t, "No cluster leader", got.body)
}

func TestOccasional(t *testing.T) {
	now := sometime()
	o := newOccasional(func() time.Time { return now })
	ok, _ := o.allow("a")
	assert.True(t, ok)
	for range 5 {
		ok, _ = o.allow("a")
		assert.False(t, ok)
	}
	now = now.Add(repeatEvery)
	ok, missed := o.allow("a")
	assert.True(t, ok)
	assert.Equal(t, 5, missed)
	for n := range 10 * maxKinds {
		o.allow(fmt.Sprint(n))
	}
	assert.LessOrEqual(t, len(o.last), maxKinds)
	now = now.Add(repeatEvery)
	ok, _ = o.allow("b")
	assert.True(t, ok, "room again")
}
