package kvstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"imagemill/internal/volume"
)

// loopbackAddr is the Raft address of a node that speaks to itself only. It is
// part of the replicated membership, so it must not change between starts.
const loopbackAddr = raft.ServerAddress("127.0.0.1:8300")

// node is one member of the Raft cluster with its state: the part of the
// service below HTTP. Today the cluster is this one node, which bootstraps
// itself; propose, verify and openTransport are where others would come in.
type node struct {
	cfg       Config
	log       *slog.Logger
	now       func() time.Time
	fsm       *fsm
	deadlines *deadlines
	lead      *gate
	member    atomic.Pointer[member]
	space     *volume.Room // of the data folder; nil in memory
	// open is openStores, but for tests with a disk that fails.
	open func(dir string, log hclog.Logger) (*stores, error)
}

// member is the node while it runs.
type member struct {
	id   raft.ServerID
	raft *raft.Raft
}

func newNode(cfg Config, log *slog.Logger, now func() time.Time) *node {
	n := &node{cfg: cfg, log: log, now: now, fsm: newFSM(), deadlines: newDeadlines(), lead: newGate(), open: openStores}
	if cfg.DataDir != "" {
		n.space = volume.NewRoom("IMAGEMILL_KVSTORE_DATA", cfg.DataDir, 0, log, now)
	}
	return n
}

// run opens the stores, takes part in the cluster until ctx is done, and closes
// everything again.
func (n *node) run(ctx context.Context) error {
	hlog := raftLogger(n.log)
	st, err := n.open(n.cfg.DataDir, hlog)
	if err != nil {
		return err
	}
	if n.space != nil {
		st.stable = &patientStable{StableStore: st.stable, ctx: ctx, log: n.log, space: n.space}
		st.logs = &notedLogs{LogStore: st.logs, space: n.space}
	}
	// Raft writes to this channel from its main loop; it must never have to wait.
	leading := make(chan bool, 16)
	rc := n.raftConfig(st.id, leading)
	rc.Logger = hlog
	r, transport, err := n.openRaft(rc, st)
	if err != nil {
		return errors.Join(err, st.close())
	}
	n.member.Store(&member{id: st.id, raft: r})
	n.log.Info("raft started", "node", st.id, "data", n.cfg.DataDir, "lastIndex", r.LastIndex())
	n.follow(ctx, r, leading)
	n.lead.set(false)
	err = r.Shutdown().Error()
	return errors.Join(err, transport.Close(), st.close())
}

func (n *node) raftConfig(id raft.ServerID, leading chan<- bool) *raft.Config {
	rc := raft.DefaultConfig()
	rc.LocalID = id
	rc.NotifyCh = leading
	rc.HeartbeatTimeout, rc.ElectionTimeout = n.cfg.RaftHeartbeat, n.cfg.RaftHeartbeat
	rc.LeaderLeaseTimeout = n.cfg.RaftHeartbeat
	rc.CommitTimeout = max(n.cfg.RaftHeartbeat/10, time.Millisecond)
	// Writes that wait while the last ones are synced form the next batch.
	rc.MaxAppendEntries, rc.BatchApplyCh = 256, true
	rc.SnapshotThreshold, rc.SnapshotInterval = uint64(n.cfg.SnapshotThreshold), n.cfg.SnapshotInterval //nolint:gosec // validated
	rc.TrailingLogs = uint64(n.cfg.SnapshotThreshold) / 8                                               //nolint:gosec // validated
	rc.NoLegacyTelemetry = true
	return rc
}

// openRaft starts Raft; a store without any state is made into a cluster of one.
func (n *node) openRaft(rc *raft.Config, st *stores) (*raft.Raft, raft.WithClose, error) {
	_, transport := raft.NewInmemTransport(loopbackAddr)
	known, err := raft.HasExistingState(st.logs, st.stable, st.snaps)
	if err == nil && !known {
		alone := raft.Configuration{Servers: []raft.Server{{ID: st.id, Address: loopbackAddr}}}
		err = raft.BootstrapCluster(rc, st.logs, st.stable, st.snaps, transport, alone)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("bootstrap raft: %w", err), transport.Close())
	}
	r, err := raft.NewRaft(rc, n.fsm, st.logs, st.stable, st.snaps, transport)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start raft: %w", err), transport.Close())
	}
	return r, transport, nil
}

// follow opens the gate while this node leads, and expires sessions meanwhile.
func (n *node) follow(ctx context.Context, r *raft.Raft, leading <-chan bool) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if n.lead.isOpen() {
			timer.Reset(n.expire(r))
		}
		select {
		case <-ctx.Done():
			return
		case up := <-leading:
			n.lead.set(false)
			if up {
				n.takeOver(r)
			}
		case <-timer.C:
		case <-n.deadlines.moved:
		}
	}
}

// takeOver waits until all that earlier leaders committed is applied here, and
// starts every session's TTL by this node's clock, before anybody is served.
func (n *node) takeOver(r *raft.Raft) {
	if err := r.Barrier(0).Error(); err != nil {
		n.log.Warn("lost leadership while taking over", "error", err)
		return
	}
	n.deadlines.reset(n.fsm.current().allSessions(""), n.now())
	n.lead.set(true)
	n.log.Info("leading", "index", n.fsm.current().applied)
}

// expire destroys the sessions whose time is up, and gives the time to wait
// until it is needed again.
func (n *node) expire(r *raft.Raft) time.Duration {
	ids := n.deadlines.due(n.now())
	if len(ids) == 0 {
		return n.deadlines.next(n.now())
	}
	out, err := n.apply(r, &command{kind: commandDestroy, ids: ids})
	if err == nil {
		err = out.err
	}
	if err == nil {
		n.log.Info("sessions expired", "sessions", ids)
		return n.deadlines.next(n.now())
	}
	// Whoever leads next starts every TTL anew; so does this node meanwhile.
	n.log.Warn("sessions could not be expired and live on for another TTL", "sessions", ids, "error", err)
	v := n.fsm.current()
	for _, id := range ids {
		if s := v.session(id); s != nil {
			n.deadlines.start(id, s.ttl(), n.now())
		}
	}
	return n.deadlines.next(n.now())
}
