package kvstore

import (
	"io"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// A node that is alone leads because it was called to, not because Raft's own
// time has run out.
func TestANodeAloneLeadsAtOnce(t *testing.T) {
	rc := raft.DefaultConfig()
	rc.LocalID = "alone"
	rc.HeartbeatTimeout, rc.ElectionTimeout, rc.LeaderLeaseTimeout = time.Hour, time.Hour, time.Hour
	rc.Logger = hclog.New(&hclog.LoggerOptions{Output: io.Discard})
	store, snaps := raft.NewInmemStore(), raft.NewInmemSnapshotStore()
	_, transport := raft.NewInmemTransportWithTimeout(loopbackAddr, time.Second)
	alone := raft.Configuration{Servers: []raft.Server{{ID: rc.LocalID, Address: transport.LocalAddr()}}}
	require.NoError(t, raft.BootstrapCluster(rc, store, store, snaps, transport, alone))
	r, err := raft.NewRaft(rc, &raft.MockFSM{}, store, store, snaps, transport)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Shutdown().Error()) })

	call := elections(r, rc.LocalID, transport)
	require.NoError(t, call())
	require.Eventually(t, func() bool { return r.State() == raft.Leader }, time.Minute, time.Millisecond)
	require.NoError(t, call(), "a leader is not called")
	require.Equal(t, raft.Leader, r.State())
}
