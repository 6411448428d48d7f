package kvstore

import (
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/serf/serf"
)

// reconcile makes those voters who should be, one change after the other. Only
// a leader can; it does so when it takes over, at every event, and at intervals,
// so that what one leader left undone the next one does.
func (c *cluster) reconcile(m *member) {
	f := m.raft.GetConfiguration()
	if err := f.Error(); err != nil {
		return
	}
	servers := f.Configuration().Servers
	peers := c.peers()
	// Those without a node go first: every vote of the dead makes a majority harder.
	for _, s := range servers {
		if s.ID != m.id && c.isGone(s, peers) {
			c.log.Info("removing a node's vote", "id", s.ID, "raft", s.Address)
			if !c.done(m.raft.RemoveServer(s.ID, 0, 0)) {
				return
			}
		}
	}
	for _, p := range peers {
		has := slices.Contains(servers, raft.Server{Suffrage: raft.Voter, ID: p.id, Address: p.raft})
		if has || !p.alive() || !c.belongs(p, servers) {
			continue
		}
		c.log.Info("giving a node a vote", "name", p.name, "id", p.id, "raft", p.raft)
		if !c.done(m.raft.AddVoter(p.id, p.raft, 0, 0)) {
			return
		}
	}
}

// done waits for a change of the membership and reports whether it was made.
func (c *cluster) done(f raft.IndexFuture) bool {
	err := f.Error()
	if ok, _ := c.often.allow("membership"); err != nil && ok {
		c.log.Warn("the cluster's membership could not be changed; tried again", "error", err)
	}
	return err == nil
}

// isGone reports whether a voter has no node any more: it left, it was reaped,
// it came back under its name or address with another ID, or gossip has not
// known it for as long as it takes to be reaped.
func (c *cluster) isGone(s raft.Server, peers []peer) bool {
	i := slices.IndexFunc(peers, func(p peer) bool { return p.id == s.ID })
	if i >= 0 {
		delete(c.orphans, s.ID)
		if peers[i].alive() || peers[i].member.Status == serf.StatusLeft {
			return !peers[i].alive()
		}
	}
	taken := slices.ContainsFunc(peers, func(p peer) bool { return p.alive() && p.id != s.ID && p.raft == s.Address })
	if taken || c.roster.gone[s.ID] {
		return true
	}
	if i >= 0 {
		return false
	}
	since, known := c.orphans[s.ID]
	if !known {
		c.orphans[s.ID] = time.Now()
		return false
	}
	return time.Since(since) >= c.cfg.Cluster.ReapAfter
}

// belongs refuses a node with a history of its own: what it holds would be
// overwritten by this cluster's.
func (c *cluster) belongs(p peer, servers []raft.Server) bool {
	own := c.clusterID()
	known := slices.ContainsFunc(servers, func(s raft.Server) bool { return s.ID == p.id })
	if known || !p.founded || p.cluster == own || p.cluster == "" && own == "" {
		return true
	}
	if ok, _ := c.often.allow("foreign " + p.name); ok {
		c.log.Error("a node of another cluster was found, and is kept out: its data would be lost. Empty its data folder to let it join",
			"name", p.name, "raft", p.raft, "api", p.api)
	}
	return false
}
