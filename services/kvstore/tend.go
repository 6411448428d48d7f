package kvstore

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/raft"
	"github.com/hashicorp/serf/serf"
)

// clusterIDKey is where the ID of the cluster that a node belongs to is kept.
const clusterIDKey = "imagemill-cluster-id"

// clusterID gives the stored ID, "" while the node belongs to none.
func (c *cluster) clusterID() string {
	id, err := c.stable.Get([]byte(clusterIDKey))
	if err != nil {
		return ""
	}
	return string(id)
}

func (c *cluster) setClusterID(id string) {
	if err := c.stable.Set([]byte(clusterIDKey), []byte(id)); err != nil {
		c.log.Warn("the cluster's ID could not be stored; tried again", "error", err)
	}
}

// tend looks after the cluster at every event and at intervals: it tells the
// others what has become of this node, begins a cluster where none is, and,
// while this node leads, gives and takes votes.
func (c *cluster) tend(ctx context.Context, m *member, api string) {
	tick := time.NewTicker(c.cfg.Cluster.GossipProbe)
	defer tick.Stop()
	told := map[string]string{}
	for {
		changed := c.changed.next()
		c.identify(m)
		if tags := c.self(m, api).tags(c.cfg.Datacenter); !maps.Equal(told, tags) {
			if err := c.gossip.Load().SetTags(tags); err != nil {
				c.log.Error("this node's tags cannot be told to the others", "error", err)
			}
			told = tags
		}
		c.begin(m)
		if c.leads() {
			c.reconcile(m)
		}
		select {
		case <-ctx.Done():
			return
		case e := <-c.events:
			c.heed(e)
		case <-changed:
		case <-tick.C:
		}
	}
}

// heed takes in what gossip says, as far as it has been said by now.
func (c *cluster) heed(e serf.Event) {
	for {
		if me, ok := e.(serf.MemberEvent); ok {
			for _, sm := range me.Members {
				if p, ok := peerOf(sm, c.cfg.Datacenter); ok {
					c.roster.note(me.Type, p)
					c.log.Info("node", "event", me.Type.String(), "name", p.name, "raft", p.raft, "id", p.id)
				}
			}
		}
		select {
		case e = <-c.events:
		default:
			c.changed.ring()
			return
		}
	}
}

// identify learns which cluster this node belongs to: that of the leader which
// it follows, or, for a node that was alone, one of its own.
func (c *cluster) identify(m *member) {
	if c.clusterID() != "" {
		return
	}
	if _, id := m.raft.LeaderWithID(); id == m.id {
		f := m.raft.GetConfiguration()
		if f.Error() == nil && len(f.Configuration().Servers) == 1 {
			c.setClusterID(uuid.NewString())
		}
		return
	}
	if p, ok := c.leaderPeer(); ok && p.cluster != "" {
		c.setClusterID(p.cluster)
	}
}

// begin makes a cluster of EXPECT fresh nodes, once all of them are there. Of
// these only the first by name does it, so that two cannot do it differently,
// and none does where anybody already has a history.
func (c *cluster) begin(m *member) {
	if c.cfg.Cluster.Expect < 2 || m.raft.LastIndex() > 0 {
		return
	}
	var fresh []peer
	for _, p := range c.peers() {
		switch {
		case p.founded:
			return
		case p.alive() && p.expect == c.cfg.Cluster.Expect:
			fresh = append(fresh, p)
		case p.alive() && p.expect > 1:
			if ok, _ := c.often.allow("expect"); ok {
				c.log.Error("EXPECT differs among the nodes, so none of them begins a cluster",
					"setting", setting("EXPECT"), "here", c.cfg.Cluster.Expect, "node", p.name, "there", p.expect)
			}
			return
		}
	}
	if len(fresh) != c.cfg.Cluster.Expect || fresh[0].id != m.id {
		if ok, _ := c.often.allow("waiting"); ok {
			c.log.Info("waiting for the cluster to begin", "expect", c.cfg.Cluster.Expect, "present", len(fresh))
		}
		return
	}
	var conf raft.Configuration
	for _, p := range fresh {
		conf.Servers = append(conf.Servers, raft.Server{ID: p.id, Address: p.raft})
	}
	c.setClusterID(uuid.NewString())
	if err := m.raft.BootstrapCluster(conf).Error(); err != nil {
		c.log.Error("the cluster could not be begun", "error", err)
		return
	}
	c.log.Info("cluster begun", "nodes", slices.Collect(func(yield func(string) bool) {
		for _, p := range fresh {
			if !yield(p.name) {
				return
			}
		}
	}))
}
