package kvstore

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConfigNamesTheWrongSetting(t *testing.T) {
	require.NoError(t, DefaultConfig().Validate())
	require.NoError(t, MemConfig().Validate())
	for name, spoil := range map[string]func(*Config){
		"LISTEN":             func(c *Config) { c.HTTP.Listen = "nowhere" },
		"NODE":               func(c *Config) { c.NodeName = "a b" },
		"DATACENTER":         func(c *Config) { c.Datacenter = "" },
		"SESSION_TTL_MIN":    func(c *Config) { c.SessionTTLMin = 0 },
		"LEADER_WAIT":        func(c *Config) { c.LeaderWait = -1 },
		"RAFT_HEARTBEAT":     func(c *Config) { c.RaftHeartbeat = time.Millisecond },
		"SNAPSHOT_INTERVAL":  func(c *Config) { c.SnapshotInterval = 0 },
		"SNAPSHOT_THRESHOLD": func(c *Config) { c.SnapshotThreshold = 1 },
	} {
		c := DefaultConfig()
		spoil(&c)
		_, err := New(c, Deps{Log: quiet()})
		require.ErrorContains(t, err, name+":")
	}
	_, err := New(DefaultConfig(), Deps{})
	require.ErrorContains(t, err, "Deps.Log")
}

// Without a leader a request waits, and then fails with Consul's words.
func TestNoLeader(t *testing.T) {
	cfg := MemConfig()
	cfg.LeaderWait = 10 * time.Millisecond
	s, err := New(cfg, Deps{Log: quiet()})
	require.NoError(t, err)
	assert.Equal(t, []string{"raft leader"}, s.missing())
	_, err = s.node.propose(context.Background(), &command{kind: commandKV})
	require.ErrorIs(t, err, ErrNoLeader)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, s.node.verify(ctx), context.Canceled)

	up := make(chan error, 1)
	go func() { up <- s.node.lead.wait(context.Background()) }()
	s.node.lead.set(true)
	require.NoError(t, <-up)
	s.node.lead.set(false)
	assert.False(t, s.node.lead.isOpen())
}
