package kvstore

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func clusterConfig() Config {
	c := DefaultConfig()
	c.NodeName, c.Cluster.Expect, c.Cluster.Join = "kv1", 3, []string{"kv1:8301", "kv2:8301"}
	return c
}

func TestClusterConfigNamesTheWrongSetting(t *testing.T) {
	require.NoError(t, clusterConfig().Validate())
	assert.False(t, DefaultConfig().Cluster.clustered(), "the default is one node alone")
	assert.Equal(t, aloneHeartbeat, DefaultConfig().heartbeat())
	assert.Equal(t, clusterHeartbeat, clusterConfig().heartbeat())
	for name, spoil := range map[string]func(*Config){
		"EXPECT: 10":     func(c *Config) { c.Cluster.Expect = 10 },
		"EXPECT: 0":      func(c *Config) { c.Cluster.Expect, c.Cluster.Join = 0, nil },
		"NODE":           func(c *Config) { c.NodeName = "kvstore" },
		"JOIN":           func(c *Config) { c.Cluster.Join = []string{"kv1"} },
		"GOSSIP_LISTEN":  func(c *Config) { c.Cluster.GossipListen = "nowhere" },
		"RAFT_LISTEN":    func(c *Config) { c.Cluster.RaftListen = "" },
		"GOSSIP_KEY":     func(c *Config) { c.Cluster.GossipKey = "c2hvcnQ=" },
		"GOSSIP_PROBE":   func(c *Config) { c.Cluster.GossipProbe = 0 },
		"REAP_AFTER":     func(c *Config) { c.Cluster.ReapAfter = time.Millisecond },
		"RAFT_HEARTBEAT": func(c *Config) { c.RaftHeartbeat = time.Millisecond },
	} {
		c := clusterConfig()
		spoil(&c)
		_, err := New(c, Deps{Log: quiet()})
		require.ErrorContains(t, err, name)
	}
}

// What keeps a node from starting is said with the setting's whole name.
func TestClusterStartFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	for name, spoil := range map[string]func(*Config){
		"IMAGEMILL_KVSTORE_RAFT_LISTEN: cannot listen on":              func(c *Config) { c.Cluster.RaftListen = taken.Addr().String() },
		"IMAGEMILL_KVSTORE_GOSSIP_LISTEN: cannot listen on":            func(c *Config) { c.Cluster.GossipListen = taken.Addr().String() },
		"RAFT_LISTEN: :: is reachable from other machines":             func(c *Config) { c.Cluster.RaftListen, c.HTTP.Token = "0.0.0.0:0", "" },
		"GOSSIP_LISTEN: 0.0.0.0 is reachable from other machines":      func(c *Config) { c.Cluster.GossipListen, c.HTTP.Token = "0.0.0.0:0", "" },
		"RAFT_ADVERTISE: [::]:":                                        func(c *Config) { c.Cluster.RaftListen = "0.0.0.0:0" },
		"GOSSIP_ADVERTISE: 0.0.0.0:":                                   func(c *Config) { c.Cluster.GossipListen = "0.0.0.0:0" },
		"GOSSIP_LISTEN: look up nowhere.invalid":                       func(c *Config) { c.Cluster.GossipListen = "nowhere.invalid:1" },
		"IMAGEMILL_KVSTORE_GOSSIP_ADVERTISE: look up nowhere.invalid:": func(c *Config) { c.Cluster.GossipAdvertise = "nowhere.invalid:1" },
	} {
		f := newFleet(t, 3, nil)
		c := f.config(0)
		c.HTTP.Listen = "127.0.0.1:0"
		spoil(&c)
		s, err := New(c, Deps{Log: quiet()})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		require.ErrorContains(t, s.Run(ctx), name)
		cancel()
	}
}

func TestAdvertised(t *testing.T) {
	any4 := &net.TCPAddr{IP: net.IPv4zero, Port: 8300}
	for _, tc := range []struct {
		listen        net.Addr
		own, api, out string
	}{
		{&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1}, "", "", "10.0.0.1:1"},
		{any4, "", "kv1", "kv1:8300"}, {any4, "", "kv1:8500", "kv1:8300"},
		{any4, "other", "kv1", "other:8300"}, {any4, "other:9", "kv1", "other:9"}, {any4, "", "", ""},
	} {
		got, err := advertised(tc.listen, tc.own, tc.api)
		assert.Equal(t, tc.out, got)
		assert.Equal(t, tc.out == "", err != nil)
	}
}

// Nodes that wait for different numbers begin nothing, and say so.
func TestClusterExpectDiffers(t *testing.T) {
	f := newFleet(t, 3, func(i int, c *Config) { c.Cluster.Expect = 3 - i%2 })
	log := &lines{}
	f.log = slog.New(slog.NewTextHandler(log, nil))
	f.begin(0, 1, 2)
	eventually(t, func() bool { return log.count("EXPECT differs") == 3 })
	for _, r := range f.nodes {
		assert.Zero(t, r.node.member.Load().raft.LastIndex())
	}
}

func TestPeerOf(t *testing.T) {
	p := peer{name: "n", id: "i", raft: "r:1", api: "http://a", expect: 3, founded: true, cluster: "c", build: "b"}
	m := serf.Member{Name: "n", Tags: p.tags("dc1")}
	got, ok := peerOf(m, "dc1")
	require.True(t, ok)
	got.member = serf.Member{}
	assert.Equal(t, p, got)
	_, ok = peerOf(m, "dc2")
	assert.False(t, ok, "another datacenter's")
	for _, tag := range []string{"role", "id", "raft", "expect"} {
		m := serf.Member{Name: "n", Tags: p.tags("dc1")}
		delete(m.Tags, tag)
		_, ok := peerOf(m, "dc1")
		assert.False(t, ok, "without %s", tag)
	}
}

// A round of questions proves nothing to who comes while it is under way, and
// what was begun before leadership was lost is not trusted afterwards.
func TestRounds(t *testing.T) {
	var q rounds
	begun, answer := make(chan struct{}, 8), make(chan error)
	ask := func() (time.Time, error) {
		begun <- struct{}{}
		return time.Now().Add(time.Hour), <-answer
	}
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- q.prove(t.Context(), ask) }()
	<-begun
	go func() { second <- q.prove(t.Context(), ask) }()
	eventually(t, func() bool { q.mu.Lock(); defer q.mu.Unlock(); return q.next != nil })
	q.void()
	answer <- nil
	require.NoError(t, <-first)
	assert.False(t, q.trusted(time.Now()), "leadership was lost in between")
	<-begun
	answer <- nil
	require.NoError(t, <-second)
	assert.True(t, q.trusted(time.Now()))
	q.void()
	assert.False(t, q.trusted(time.Now()))

	go func() { <-begun; answer <- io.EOF }()
	require.ErrorIs(t, q.prove(t.Context(), ask), io.EOF)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, q.prove(ctx, ask), context.Canceled)
	<-begun
	answer <- nil // the round goes on without the one who asked
	q.stop()
}
