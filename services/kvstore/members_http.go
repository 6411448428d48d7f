package kvstore

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/hashicorp/raft"
)

// clusterMembers gives all nodes in the form in which Consul shows members.
func (s *Service) clusterMembers() []any {
	if s.node.cluster == nil {
		return nil
	}
	var out []any
	for _, p := range s.node.cluster.peers() {
		out = append(out, p.show(s.cfg.Datacenter))
	}
	return out
}

// clusterMember gives one node by name; nil if gossip does not know it.
func (s *Service) clusterMember(name string) map[string]any {
	if s.node.cluster == nil {
		return nil
	}
	for _, p := range s.node.cluster.peers() {
		if strings.EqualFold(p.name, name) {
			return p.show(s.cfg.Datacenter)
		}
	}
	return nil
}

func (p peer) show(datacenter string) map[string]any {
	_, port, _ := strings.Cut(string(p.raft)[strings.LastIndex(string(p.raft), ":"):], ":")
	return map[string]any{
		"Name": p.name, "Addr": p.member.Addr.String(), "Port": p.member.Port, "Status": p.member.Status,
		"Tags": map[string]string{
			"role": "consul", "dc": datacenter, "id": string(p.id), "build": p.build, "port": port,
			"expect": strconv.Itoa(p.expect), "api": p.api, "raft_vsn": strconv.Itoa(int(raft.ProtocolVersionMax)),
		},
		"ProtocolMin": p.member.ProtocolMin, "ProtocolMax": p.member.ProtocolMax, "ProtocolCur": p.member.ProtocolCur,
		"DelegateMin": p.member.DelegateMin, "DelegateMax": p.member.DelegateMax, "DelegateCur": p.member.DelegateCur,
	}
}

// agentLeave takes this node out of the cluster for good and stops it. An
// operator calls it (consul leave); a repeat finds nobody there.
func (s *Service) agentLeave(c *call) error {
	if s.node.cluster == nil {
		return &httpError{http.StatusBadRequest, "this node is alone: there is nobody to leave; stop the process instead"}
	}
	if err := s.node.leave(c.ctx()); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusOK)
	s.node.cluster.left()
	return nil
}

// agentForceLeave takes the vote of a node that has failed and will not return.
// An operator calls it (consul force-leave); it may be repeated.
func (s *Service) agentForceLeave(c *call) error {
	name := c.rest("/v1/agent/force-leave/")
	if !s.isNode(name) {
		return &httpError{http.StatusInternalServerError, fmt.Sprintf("agent: No node found with name '%s'", name)}
	}
	if err := s.node.cluster.gossip.Load().RemoveFailedNode(name); err != nil {
		return fmt.Errorf("force node %s to leave: %w", name, err)
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}
