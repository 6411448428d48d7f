package kvstore

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/serf/serf"
)

// gossipRole tells kvstore nodes from whatever else gossips with the same key.
const gossipRole = "imagemill-kvstore"

// peer is a node as gossip shows it.
type peer struct {
	name   string
	id     raft.ServerID
	raft   raft.ServerAddress
	api    string
	expect int
	// founded says that the node has Raft state; cluster is the one that it
	// belongs to, or empty while it does not know yet.
	founded bool
	cluster string
	build   string
	member  serf.Member
}

func (p peer) alive() bool { return p.member.Status == serf.StatusAlive }

// tags gives what a node tells of itself.
func (p peer) tags(datacenter string) map[string]string {
	t := map[string]string{
		"role": gossipRole, "dc": datacenter, "id": string(p.id), "raft": string(p.raft), "api": p.api,
		"expect": strconv.Itoa(p.expect), "cluster": p.cluster, "build": p.build,
	}
	if p.founded {
		t["founded"] = "1"
	}
	return t
}

// peerOf reads a member's tags; false for one that is no node of the datacenter.
func peerOf(m serf.Member, datacenter string) (peer, bool) {
	if m.Tags["role"] != gossipRole || m.Tags["dc"] != datacenter || m.Tags["id"] == "" || m.Tags["raft"] == "" {
		return peer{}, false
	}
	expect, err := strconv.Atoi(m.Tags["expect"])
	if err != nil {
		return peer{}, false
	}
	return peer{
		name: m.Name, id: raft.ServerID(m.Tags["id"]), raft: raft.ServerAddress(m.Tags["raft"]), api: m.Tags["api"],
		expect: expect, founded: m.Tags["founded"] == "1", cluster: m.Tags["cluster"], build: m.Tags["build"], member: m,
	}, true
}

// peers gives the nodes that gossip knows of, this one included, by name.
func (c *cluster) peers() []peer {
	g := c.gossip.Load()
	if g == nil {
		return nil
	}
	var out []peer
	for _, m := range g.Members() {
		if p, ok := peerOf(m, c.cfg.Datacenter); ok {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b peer) int { return strings.Compare(a.name, b.name) })
	return out
}

// peerByID finds the node that a Raft ID belongs to.
func (c *cluster) peerByID(id raft.ServerID) (peer, bool) {
	for _, p := range c.peers() {
		if p.id == id {
			return p, true
		}
	}
	return peer{}, false
}

// hasMember reports whether a node of that name is known, dead or alive.
func (c *cluster) hasMember(name string) bool {
	return slices.ContainsFunc(c.peers(), func(p peer) bool { return strings.EqualFold(p.name, name) })
}

// leaderPeer finds the node that Raft takes for the leader, unless it is this
// one, or has not said yet where its API is.
func (c *cluster) leaderPeer() (peer, bool) {
	m := c.member()
	if m == nil {
		return peer{}, false
	}
	_, id := m.raft.LeaderWithID()
	if id == "" || id == m.id {
		return peer{}, false
	}
	p, ok := c.peerByID(id)
	return p, ok && p.api != ""
}

// nowhere is the address of a node that is gone; raftStream does not dial it.
const nowhere = raft.ServerAddress("")

// ServerAddr gives Raft the address under which a node is reached now, which
// may be another one than when it was given its vote; nowhere, if the node is gone
// for good. For an error Raft takes the address that it was given the vote with.
// That may by now be the address of the same machine after its data were lost:
// Raft's last words to the node that it was would overwrite newer ones to the node
// that it is.
func (c *cluster) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	peers := c.peers()
	for _, p := range peers {
		if p.id == id {
			return p.raft, nil
		}
	}
	unknown := fmt.Errorf("find address of node %s: gossip does not know it", id)
	m := c.member()
	if m == nil || id == m.id {
		return "", unknown
	}
	f := m.raft.GetConfiguration()
	if err := f.Error(); err != nil {
		return "", fmt.Errorf("find address of node %s: %w", id, err)
	}
	servers := f.Configuration().Servers
	i := slices.IndexFunc(servers, func(s raft.Server) bool { return s.ID == id })
	if i < 0 || slices.ContainsFunc(peers, func(p peer) bool { return p.raft == servers[i].Address }) {
		return nowhere, nil
	}
	return "", unknown
}

// roster remembers, by name, the Raft IDs that gossip has shown, and which of
// them have no node any more. Only the goroutine that tends the cluster uses it.
type roster struct {
	ids  map[string]raft.ServerID
	gone map[raft.ServerID]bool
}

func newRoster() *roster {
	return &roster{ids: map[string]raft.ServerID{}, gone: map[raft.ServerID]bool{}}
}

// note takes in one event about a node.
func (r *roster) note(kind serf.EventType, p peer) {
	if was := r.ids[p.name]; was != "" && was != p.id {
		r.gone[was] = true // wiped, and back under its name
	}
	r.ids[p.name] = p.id
	if kind == serf.EventMemberReap {
		r.gone[p.id] = true
		delete(r.ids, p.name)
	} else {
		delete(r.gone, p.id)
	}
}
