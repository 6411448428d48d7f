package kvstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/raft"
	"github.com/hashicorp/serf/serf"

	"imagemill/internal/serve"
)

// wires are the connections among nodes; tests put a faulty network there.
type wires struct {
	dial   dialer
	gossip func(*memberlist.Config) error
}

func realWires() wires {
	return wires{dial: (&net.Dialer{}).DialContext, gossip: func(*memberlist.Config) error { return nil }}
}

// cluster is what a node has that is not alone: gossip with the others, and, as
// long as it leads, the care for who has a vote.
type cluster struct {
	cfg   Config
	log   *slog.Logger
	now   func() time.Time
	often *occasional
	wires wires
	http  *http.Client
	// apiURL gives the address of this node's own API, "" before it is served.
	apiURL func() string
	member func() *member
	// leads reports whether this node leads and is done with taking over.
	leads func() bool
	// changed rings when the leader or a member is another.
	changed *bell

	gossip atomic.Pointer[serf.Serf]
	events chan serf.Event
	// identity is kept beside the Raft log.
	stable raft.StableStore

	roster  *roster
	orphans map[raft.ServerID]time.Time
	rounds  rounds
	// ledTerm is the term in which this node last took over, with all that was
	// committed before applied.
	ledTerm atomic.Uint64
	// resigned is set when this node is to lead no more.
	resigned atomic.Bool
	// writing is held by every write from its way in until its outcome.
	writing sync.RWMutex
	// leaving is closed when the node has left for good.
	leaving  chan struct{}
	leftOnce sync.Once
}

// newCluster assembles the cluster side of a node. It opens nothing.
func newCluster(n *node) *cluster {
	c := &cluster{
		cfg: n.cfg, log: n.log, now: n.now, often: newOccasional(time.Now), wires: realWires(),
		apiURL: func() string { return "" }, member: n.member.Load, leads: n.lead.isOpen, changed: newBell(),
		events: make(chan serf.Event, 256), roster: newRoster(), orphans: map[raft.ServerID]time.Time{},
		leaving: make(chan struct{}),
	}
	c.http = c.newClient()
	return c
}

// listenRaft opens the Raft port.
func (c *cluster) listenRaft(ctx context.Context) (*raftStream, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.cfg.Cluster.RaftListen)
	if err != nil {
		return nil, serve.ListenError("kvstore", setting("RAFT_LISTEN"), c.cfg.Cluster.RaftListen, err)
	}
	tcp, _ := ln.Addr().(*net.TCPAddr)
	err = c.mayListen("RAFT_LISTEN", tcp.IP)
	address, aerr := advertised(ln.Addr(), c.cfg.Cluster.RaftAdvertise, c.cfg.HTTP.Advertise)
	if aerr != nil {
		aerr = fmt.Errorf("%s: %w", setting("RAFT_ADVERTISE"), aerr)
	}
	conf, terr := raftTLS(c.cfg.Cluster.GossipKey, c.cfg.HTTP.Token)
	if err = errors.Join(err, aerr, terr); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return newRaftStream(ln, conf, address, c.wires.dial, c.log, c.often), nil
}

// run gossips and tends the cluster until ctx is done.
func (c *cluster) run(ctx context.Context) error {
	api, err := c.awaitAPI(ctx)
	if err != nil {
		return nil //nolint:nilerr // stopped before anything was served
	}
	m := c.member()
	g, err := c.newGossip(ctx, c.self(m, api).tags(c.cfg.Datacenter), c.events)
	if err != nil {
		return err
	}
	c.gossip.Store(g)
	c.log.Info("gossiping", "node", c.cfg.NodeName, "address", g.LocalMember().Addr, "port", g.LocalMember().Port, "join", c.cfg.Cluster.Join)
	c.changed.ring()
	joined := make(chan struct{})
	go func() {
		defer close(joined)
		c.keepJoining(ctx, g)
	}()
	c.tend(ctx, m, api)
	<-joined
	err = g.Shutdown()
	c.drainEvents(g)
	c.rounds.stop()
	c.http.CloseIdleConnections()
	return err
}

// drainEvents lets Serf's goroutines end, which hand over what they still have.
func (c *cluster) drainEvents(g *serf.Serf) {
	for {
		select {
		case <-c.events:
		case <-g.ShutdownCh():
			return
		}
	}
}

// awaitAPI waits until this node's API is served, for the others are told where.
func (c *cluster) awaitAPI(ctx context.Context) (string, error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if u := c.apiURL(); u != "" {
			return u, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// keepJoining calls the addresses of JOIN as long as this node is by itself.
// The first node has nobody to find, so that is no error.
func (c *cluster) keepJoining(ctx context.Context, g *serf.Serf) {
	tick := time.NewTicker(c.cfg.Cluster.GossipProbe)
	defer tick.Stop()
	for {
		if len(c.cfg.Cluster.Join) > 0 && g.Memberlist().NumMembers() < 2 {
			if _, err := g.Join(c.cfg.Cluster.Join, true); err != nil {
				if ok, _ := c.often.allow("join"); ok {
					c.log.Info("nobody was found to gossip with; tried again until somebody is", "join", c.cfg.Cluster.Join, "error", err)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// self is this node as it shows itself.
func (c *cluster) self(m *member, api string) peer {
	last, first := m.raft.LastIndex(), m.raft.GetConfiguration()
	founded := last > 0 || first.Error() == nil && len(first.Configuration().Servers) > 0
	return peer{
		name: c.cfg.NodeName, id: m.id, raft: m.address, api: api, expect: c.cfg.Cluster.Expect,
		founded: founded, cluster: c.clusterID(), build: m.build,
	}
}
