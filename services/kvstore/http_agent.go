package kvstore

import (
	"net"
	"runtime"
	"strconv"

	"github.com/hashicorp/raft"
)

// statusLeader answers the Raft address of the leader, "" while there is none.
func (s *Service) statusLeader(c *call) error {
	leader := ""
	if m := s.node.member.Load(); m != nil {
		addr, _ := m.raft.LeaderWithID()
		leader = string(addr)
	}
	return c.json(leader)
}

// statusPeers answers the Raft addresses of all members.
func (s *Service) statusPeers(c *call) error {
	peers := []string{}
	if m := s.node.member.Load(); m != nil {
		f := m.raft.GetConfiguration()
		if err := f.Error(); err != nil {
			return err
		}
		for _, server := range f.Configuration().Servers {
			peers = append(peers, string(server.Address))
		}
	}
	return c.json(peers)
}

// agentSelf answers who this node is, as far as Consul's clients look at it.
func (s *Service) agentSelf(c *call) error {
	id, stats := "", map[string]string{}
	if m := s.node.member.Load(); m != nil {
		id, stats = string(m.id), m.raft.Stats()
	}
	type object = map[string]any
	return c.json(object{
		"Config": object{
			"Datacenter": s.cfg.Datacenter, "PrimaryDatacenter": s.cfg.Datacenter,
			"NodeName": s.cfg.NodeName, "NodeID": id, "Revision": "", "Server": true,
			"Version": s.deps.Version, "BuildDate": "0001-01-01T00:00:00Z",
		},
		"DebugConfig": object{"SessionTTLMin": s.cfg.SessionTTLMin.String(), "KVMaxValueSize": MaxValue},
		"Coord":       nil,
		"Member":      s.self(id),
		"Stats": object{
			"raft":    stats,
			"runtime": map[string]string{"goroutines": strconv.Itoa(runtime.NumGoroutine()), "version": runtime.Version()},
		},
		"Meta": object{"consul-network-segment": ""},
	})
}

// agentMembers answers the members of the cluster; alone, that is this node.
func (s *Service) agentMembers(c *call) error {
	if all := s.clusterMembers(); len(all) > 0 {
		return c.json(all)
	}
	id := ""
	if m := s.node.member.Load(); m != nil {
		id = string(m.id)
	}
	return c.json([]any{s.self(id)})
}

// self is this node as a member. Status 1 is "alive".
func (s *Service) self(id string) map[string]any {
	if m := s.clusterMember(s.cfg.NodeName); m != nil {
		return m
	}
	host, port, _ := net.SplitHostPort(string(loopbackAddr))
	number, _ := strconv.Atoi(port)
	return map[string]any{
		"Name": s.cfg.NodeName, "Addr": host, "Port": number, "Status": 1,
		"Tags": map[string]string{
			"role": "consul", "dc": s.cfg.Datacenter, "id": id, "build": s.deps.Version,
			"raft_vsn": strconv.Itoa(int(raft.ProtocolVersionMax)),
		},
		"ProtocolMin": 1, "ProtocolMax": 5, "ProtocolCur": 2,
		"DelegateMin": 2, "DelegateMax": 5, "DelegateCur": 4,
	}
}
