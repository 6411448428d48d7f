package kvstore

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"time"
)

// The silence after which an election is called, where nothing is set: alone, a
// node has nobody to wait for; over a network, and on machines with more to do,
// a shorter one would take leadership from leaders that are merely slow.
const (
	aloneHeartbeat   = 50 * time.Millisecond
	clusterHeartbeat = 300 * time.Millisecond
)

// ClusterConfig is how a node finds others and speaks to them. Without JOIN and
// with an EXPECT of 1 a node is alone and opens no port but that of its API.
type ClusterConfig struct {
	Expect int      `env:"EXPECT" help:"number of fresh nodes that begin a cluster together; 1: this one begins alone, 0: it only ever joins"`
	Join   []string `env:"JOIN" help:"gossip addresses of other nodes, host:port; one that answers is enough"`

	GossipListen    string `env:"GOSSIP_LISTEN" help:"address for gossip among the nodes, TCP and UDP, host:port"`
	GossipAdvertise string `env:"GOSSIP_ADVERTISE" help:"host or host:port of GOSSIP_LISTEN for the others; empty: as ADVERTISE"`
	RaftListen      string `env:"RAFT_LISTEN" help:"address for Raft among the nodes, host:port"`
	RaftAdvertise   string `env:"RAFT_ADVERTISE" help:"host or host:port of RAFT_LISTEN for the others; empty: as ADVERTISE"`
	GossipKey       string `env:"GOSSIP_KEY" secret:"true" help:"key of gossip and Raft, 16, 24 or 32 bytes in base64; empty: made of the cluster token"`

	GossipProbe time.Duration `env:"GOSSIP_PROBE" help:"how often a node looks after another, 10ms to 1m; one that is silent counts as failed after some of these"`
	ReapAfter   time.Duration `env:"REAP_AFTER" help:"time after which a failed node is forgotten and loses its vote, 1s to 8760h"`
	LeaveOnStop bool          `env:"LEAVE_ON_STOP" help:"leave the cluster for good when stopped, instead of being missed until the next start"`
}

func defaultClusterConfig() ClusterConfig {
	return ClusterConfig{
		Expect: 1, GossipListen: "127.0.0.1:8301", RaftListen: "127.0.0.1:8300",
		GossipProbe: time.Second, ReapAfter: 72 * time.Hour,
	}
}

// clustered reports whether the node takes part in gossip.
func (c ClusterConfig) clustered() bool { return c.Expect != 1 || len(c.Join) > 0 }

// validate reports every setting that is out of its range, by name.
func (c ClusterConfig) validate(node string) error {
	var errs []error
	if c.Expect < 0 || c.Expect > 9 {
		errs = append(errs, fmt.Errorf("EXPECT: %d is outside 0 to 9", c.Expect))
	}
	if c.Expect == 0 && len(c.Join) == 0 {
		errs = append(errs, errors.New("EXPECT: 0 needs JOIN, as the node begins no cluster itself"))
	}
	if c.clustered() && node == DefaultConfig().NodeName {
		errs = append(errs, fmt.Errorf("NODE: in a cluster every node needs a name of its own, and %q is the default", node))
	}
	addresses := append([]string{}, c.Join...)
	for i, a := range append(addresses, c.GossipListen, c.RaftListen) {
		name := "JOIN"
		if i >= len(c.Join) {
			name = []string{"GOSSIP_LISTEN", "RAFT_LISTEN"}[i-len(c.Join)]
		}
		if _, _, err := net.SplitHostPort(a); err != nil {
			errs = append(errs, fmt.Errorf("%s: %q is not host:port", name, a))
		}
	}
	if _, err := gossipKey(c.GossipKey, ""); err != nil {
		errs = append(errs, err)
	}
	if c.GossipProbe < 10*time.Millisecond || c.GossipProbe > time.Minute {
		errs = append(errs, fmt.Errorf("GOSSIP_PROBE: %s is outside 10ms to 1m", c.GossipProbe))
	}
	if c.ReapAfter < time.Second || c.ReapAfter > 8760*time.Hour {
		errs = append(errs, fmt.Errorf("REAP_AFTER: %s is outside 1s to 8760h", c.ReapAfter))
	}
	return errors.Join(errs...)
}

// heartbeat is the effective RAFT_HEARTBEAT.
func (c Config) heartbeat() time.Duration {
	switch {
	case c.RaftHeartbeat > 0:
		return c.RaftHeartbeat
	case c.Cluster.clustered():
		return clusterHeartbeat
	default:
		return aloneHeartbeat
	}
}

// advertised gives the host:port that others reach a listener under: what is
// set for it, else the API's host, else the address itself where it is one.
func advertised(listening net.Addr, own, api string) (string, error) {
	host, port, err := net.SplitHostPort(listening.String())
	if err != nil {
		return "", fmt.Errorf("read address %s: %w", listening, err)
	}
	switch {
	case own != "":
		if h, p, err := net.SplitHostPort(own); err == nil {
			return net.JoinHostPort(h, p), nil
		}
		return net.JoinHostPort(own, port), nil
	case api != "":
		if h, _, err := net.SplitHostPort(api); err == nil {
			api = h
		}
		return net.JoinHostPort(api, port), nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return "", fmt.Errorf("%s is no address that others could use: set %s to this node's host name or address", listening, setting("ADVERTISE"))
	}
	return net.JoinHostPort(host, port), nil
}

// decodeKey reads a key as consul keygen and openssl write it.
func decodeKey(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != 16 && len(key) != 24 && len(key) != 32 {
		return nil, errors.New("GOSSIP_KEY: is not 16, 24 or 32 bytes in base64; make one with: openssl rand -base64 32")
	}
	return key, nil
}

// setting is a setting's whole name, for errors that come after the checks.
func setting(name string) string { return "IMAGEMILL_KVSTORE_" + name }
