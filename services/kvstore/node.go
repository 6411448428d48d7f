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

	"imagemill/internal/rungroup"
	"imagemill/internal/volume"
)

// loopbackAddr is the Raft address of a node that speaks to itself only. It is
// part of the replicated membership, so it must not change between starts.
const loopbackAddr = raft.ServerAddress("127.0.0.1:8300")

// memorySnapshotInterval is how often a node without a data folder looks whether
// its log can be cut.
const memorySnapshotInterval = time.Second

// node is one member of the Raft cluster with its state: the part of the
// service below HTTP. A node that is alone has no cluster, bootstraps itself and
// speaks to nobody.
type node struct {
	cfg       Config
	log       *slog.Logger
	now       func() time.Time
	fsm       *fsm
	deadlines *deadlines
	lead      *gate
	member    atomic.Pointer[member]
	space     *volume.Room // of the data folder; nil in memory
	cluster   *cluster     // nil where the node is alone
	version   string
	call      func() error // calls an election at once; nil where there are others
	// open is openStores, but for tests with a disk that fails.
	open func(dir string, log hclog.Logger) (*stores, error)
}

// member is the node while it runs.
type member struct {
	id      raft.ServerID
	address raft.ServerAddress
	build   string
	raft    *raft.Raft
}

func newNode(cfg Config, log *slog.Logger, now func() time.Time) *node {
	n := &node{cfg: cfg, log: log, now: now, fsm: newFSM(), deadlines: newDeadlines(), lead: newGate(), open: openStores}
	if cfg.DataDir != "" {
		n.space = volume.NewRoom("IMAGEMILL_KVSTORE_DATA", cfg.DataDir, 0, log, now)
	}
	if cfg.Cluster.clustered() {
		n.cluster = newCluster(n)
	}
	return n
}

// run opens the stores, takes part in the cluster until ctx is done, and closes
// everything again.
func (n *node) run(ctx context.Context) error {
	hlog := raftLogger(n.log, n.often())
	st, err := n.open(n.cfg.DataDir, hlog)
	if err != nil {
		return err
	}
	if n.space != nil {
		patience, over := n.patience(ctx)
		defer over()
		st.stable = &patientStable{StableStore: st.stable, ctx: patience, log: n.log, space: n.space}
		st.logs = &notedLogs{LogStore: st.logs, space: n.space}
	}
	// Raft writes to this channel from its main loop; it must never have to wait.
	leading := make(chan bool, 16)
	rc := n.raftConfig(st.id, leading)
	rc.Logger = hlog
	r, transport, err := n.openRaft(ctx, rc, st)
	if err != nil {
		return errors.Join(err, st.close())
	}
	n.member.Store(&member{id: st.id, address: transport.LocalAddr(), build: n.version, raft: r})
	n.log.Info("raft started", "node", st.id, "data", n.cfg.DataDir, "lastIndex", r.LastIndex())
	if n.cluster == nil {
		n.call = elections(r, st.id, transport)
	}
	err = n.takePart(ctx, r, leading)
	n.lead.set(false)
	return errors.Join(err, n.ended(r.Shutdown(), shutdownTime), transport.Close(), st.close())
}

// shutdownTime is what Raft may take to end, which it does at once as a rule.
const shutdownTime = 5 * time.Second

// ended waits for Raft's goroutines. Of a leader that loses its place at that moment
// one may wait for ever to hand over an AppendEntries that nobody takes any more
// (netPipeline.AppendEntries of hashicorp/raft 1.7.3): the others have ended by then,
// nothing is written any more, and the process is about to end.
func (n *node) ended(raft interface{ Error() error }, most time.Duration) error {
	done := make(chan error, 1)
	go func() { done <- raft.Error() }()
	late := time.NewTimer(most)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		n.log.Warn("raft has not ended all that it does; it is not waited for any longer", "waited", most)
		return nil
	}
}

// patience gives a context that outlives the node's by the time that an orderly
// end takes, so that until then Raft can store its votes.
func (n *node) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, over := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer over()
		select {
		case <-ctx.Done():
		case <-longer.Done():
			return
		}
		t := time.NewTimer(time.Second)
		defer t.Stop()
		select {
		case <-t.C:
		case <-longer.Done():
		}
	}()
	return longer, over
}

// checkAlone refuses to wait forever for others whom this node, by its settings,
// could not even hear.
func (n *node) checkAlone(r *raft.Raft) error {
	f := r.GetConfiguration()
	if err := f.Error(); err != nil {
		return fmt.Errorf("read raft configuration: %w", err)
	}
	if others := len(f.Configuration().Servers) - 1; others > 0 {
		return fmt.Errorf("%s: the folder %s is that of a cluster with %d other nodes: set %s or %s to take part in it",
			setting("DATA"), n.cfg.DataDir, others, setting("EXPECT"), setting("JOIN"))
	}
	return nil
}

// takePart leads or follows, and gossips where there are others, until ctx is done.
func (n *node) takePart(ctx context.Context, r *raft.Raft, leading <-chan bool) error {
	if n.cluster == nil {
		if err := n.checkAlone(r); err != nil {
			return err
		}
		n.follow(ctx, r, leading)
		return nil
	}
	var g rungroup.Group
	g.Add("lead", func(ctx context.Context) error {
		n.follow(ctx, r, leading)
		return nil
	})
	g.Add("watch", func(ctx context.Context) error {
		n.cluster.watchLeader(ctx, r)
		return nil
	})
	g.Add("gossip", n.cluster.run)
	return g.Run(ctx)
}

// often keeps repeated trouble with others out of the log; nil for a node that
// is alone.
func (n *node) often() *occasional {
	if n.cluster == nil {
		return nil
	}
	return n.cluster.often
}

func (n *node) raftConfig(id raft.ServerID, leading chan<- bool) *raft.Config {
	rc := raft.DefaultConfig()
	rc.LocalID = id
	rc.NotifyCh = leading
	beat := n.cfg.heartbeat()
	if n.cluster == nil {
		beat = max(beat, restfulHeartbeat)
	}
	rc.HeartbeatTimeout, rc.ElectionTimeout, rc.LeaderLeaseTimeout = beat, beat, beat
	rc.CommitTimeout = max(beat/10, time.Millisecond)
	// Writes that wait while the last ones are synced form the next batch.
	rc.MaxAppendEntries, rc.BatchApplyCh = 256, true
	rc.SnapshotThreshold, rc.SnapshotInterval = uint64(n.cfg.SnapshotThreshold), n.cfg.SnapshotInterval //nolint:gosec // validated
	if n.cfg.DataDir == "" {
		// A log that cannot outlive the process is nothing but weight.
		rc.SnapshotInterval = min(rc.SnapshotInterval, memorySnapshotInterval)
	}
	rc.TrailingLogs = uint64(n.cfg.SnapshotThreshold) / 8 //nolint:gosec // validated
	rc.NoLegacyTelemetry = true
	return rc
}

// transport is what Raft speaks to others by.
type transport interface {
	raft.Transport
	raft.WithClose
}

// openTransport opens the Raft port, where there are others.
func (n *node) openTransport(ctx context.Context, st *stores, log hclog.Logger) (transport, error) {
	if n.cluster == nil {
		_, t := raft.NewInmemTransportWithTimeout(loopbackAddr, n.cfg.heartbeat())
		return t, nil
	}
	n.cluster.stable = st.stable
	stream, err := n.cluster.listenRaft(ctx)
	if err != nil {
		return nil, err
	}
	return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: stream, MaxPool: 3, Logger: log, ServerAddressProvider: n.cluster,
		// Of a paused peer and of a broken cable nothing is heard: what was sent to
		// them is given up after this, and sent anew.
		Timeout: min(max(10*n.cfg.heartbeat(), time.Second), 10*time.Second),
	}), nil
}

// openRaft starts Raft; a store without any state is made into a cluster of one,
// unless others are to be waited for or joined.
func (n *node) openRaft(ctx context.Context, rc *raft.Config, st *stores) (*raft.Raft, transport, error) {
	known, err := raft.HasExistingState(st.logs, st.stable, st.snaps)
	if err != nil {
		return nil, nil, fmt.Errorf("look for raft state: %w", err)
	}
	t, err := n.openTransport(ctx, st, rc.Logger)
	if err != nil {
		return nil, nil, err
	}
	if !known && n.cfg.Cluster.Expect == 1 {
		alone := raft.Configuration{Servers: []raft.Server{{ID: st.id, Address: t.LocalAddr()}}}
		if err := raft.BootstrapCluster(rc, st.logs, st.stable, st.snaps, t, alone); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("bootstrap raft: %w", err), t.Close())
		}
	}
	r, err := raft.NewRaft(rc, n.fsm, st.logs, st.stable, st.snaps, t)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start raft: %w", err), t.Close())
	}
	return r, t, nil
}

// follow opens the gate while this node leads, and expires sessions meanwhile.
func (n *node) follow(ctx context.Context, r *raft.Raft, leading <-chan bool) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	n.callElection()
	for {
		if n.cluster != nil && !n.lead.isOpen() && r.State() == raft.Leader && !n.cluster.resigned.Load() {
			n.takeOver(r) // again, after handing over has failed
		}
		if n.lead.isOpen() {
			timer.Reset(n.expire(r))
		}
		var vacant <-chan time.Time
		if n.call != nil && !n.lead.isOpen() {
			vacant = time.After(n.cfg.heartbeat())
		}
		select {
		case <-ctx.Done():
			return
		case up := <-leading:
			n.shut()
			if up {
				n.takeOver(r)
			}
		case <-vacant:
			n.callElection()
		case <-timer.C:
		case <-n.deadlines.moved:
		}
	}
}

// callElection calls an election where nobody else could.
func (n *node) callElection() {
	if n.call == nil {
		return
	}
	if err := n.call(); err != nil {
		n.log.Warn("call an election", "error", err)
	}
}

// takeOver waits until all that earlier leaders committed is applied here, and
// starts every session's TTL by this node's clock, before anybody is served.
func (n *node) takeOver(r *raft.Raft) {
	term := r.CurrentTerm()
	if err := r.Barrier(0).Error(); err != nil {
		n.log.Warn("lost leadership while taking over", "error", err)
		return
	}
	n.deadlines.reset(n.fsm.current().allSessions(""), n.now())
	if n.cluster != nil {
		if n.cluster.resigned.Load() {
			return
		}
		n.cluster.ledTerm.Store(term)
		defer n.cluster.changed.ring()
	}
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

// shut lets nobody pass as with the leader any more.
func (n *node) shut() {
	n.lead.set(false)
	if n.cluster != nil {
		n.cluster.rounds.void()
		n.cluster.changed.ring()
	}
}
