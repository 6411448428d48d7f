package gossip_test

import (
	"testing"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/discoverytest"
	"imagemill/pkg/discovery/gossip"
)

// TestRegistry runs the suite with a member of its own behind each handle.
func TestRegistry(t *testing.T) {
	discoverytest.Run(t, func(t *testing.T) discoverytest.Harness {
		net := newNetwork()
		first := start(t, options{net: net, cfg: config()})
		nodes := []*node{first}
		return discoverytest.Harness{
			Open: func(t *testing.T) discovery.Registry {
				n := start(t, options{net: net, cfg: config(first.address)})
				nodes = append(nodes, n)
				return n.Registry
			},
			Forget: func(t *testing.T) { forget(t, net, nodes) },
			Spoil:  func(t *testing.T, service string) { spoil(t, first.address, service) },
			Within: patience,
		}
	})
}

// TestRegistryOfOneMember runs it with all instances in one member's tags.
func TestRegistryOfOneMember(t *testing.T) {
	discoverytest.Run(t, func(t *testing.T) discoverytest.Harness {
		only := start(t, options{cfg: config()})
		return discoverytest.Harness{Open: func(*testing.T) discovery.Registry { return only.Registry }, Within: patience}
	})
}

// forget parts all members until each has given up the others.
func forget(t *testing.T, net *network, nodes []*node) {
	for i, n := range nodes {
		net.move(i+1, n)
	}
	eventually(t, patience, everybody(nodes, seeing(1)), "members have forgotten each other")
	net.heal()
}

// spoil has members join whose tags are not what members write.
func spoil(t *testing.T, join, service string) {
	good := discovery.Instance{ID: "x", Service: service, URL: "http://h:1"}
	tags, err := gossip.Pack([]discovery.Instance{good, {ID: "b", Service: service}})
	require.NoError(t, err)
	for _, blob := range []string{"\xff\x00{", "", tags[gossip.TagKey][:8], tags[gossip.TagKey]} {
		cfg := serf.DefaultConfig()
		cfg.NodeName = "spoiler-" + string(rune('a'+len(blob)%26))
		cfg.Tags = map[string]string{gossip.TagKey: blob}
		cfg.MemberlistConfig = memberlist.DefaultLocalConfig()
		cfg.MemberlistConfig.BindAddr, cfg.MemberlistConfig.BindPort = "127.0.0.1", 0
		cfg.MemberlistConfig.Label = gossip.Defaults().Label
		cfg.LogOutput, cfg.MemberlistConfig.LogOutput = discard{}, discard{}
		s, err := serf.Create(cfg)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Shutdown()) })
		_, err = s.Join([]string{join}, false)
		require.NoError(t, err)
	}
}

// discard is a log that nobody reads.
type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
