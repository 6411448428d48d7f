package kvstore

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"imagemill/internal/serve"
)

// Config is what a kvstore node is set by.
type Config struct {
	HTTP serve.Config

	DataDir    string `env:"DATA" help:"folder of the Raft log and snapshots; empty: in memory, lost at the end"`
	NodeName   string `env:"NODE" help:"name of this node, as /v1/agent/self shows it"`
	Datacenter string `env:"DATACENTER" help:"datacenter name that clients may ask for"`

	SessionTTLMin time.Duration `env:"SESSION_TTL_MIN" help:"shortest TTL a session may have, 10ms to 24h (Consul: 10s); lower finds dead services sooner"`
	LeaderWait    time.Duration `env:"LEADER_WAIT" help:"how long a request waits for a leader before it fails, 0s to 1m"`

	RaftHeartbeat     time.Duration `env:"RAFT_HEARTBEAT" help:"silence after which a node calls an election, 5ms to 10s; 0s: 50ms for a single node, 300ms in a cluster. A leader is there after one to four of these"`
	SnapshotThreshold int           `env:"SNAPSHOT_THRESHOLD" help:"log entries after which a snapshot is taken, at least 16"`
	SnapshotInterval  time.Duration `env:"SNAPSHOT_INTERVAL" help:"how often the need of a snapshot is looked at, 5ms to 1h"`

	Cluster ClusterConfig
}

// DefaultConfig gives the defaults: one node on Consul's own port.
func DefaultConfig() Config {
	h := serve.DefaultConfig("127.0.0.1:8500")
	// A watch parks a request, and there are many watchers.
	h.MaxRequests = 65536
	return Config{
		HTTP: h, DataDir: "data/kvstore", NodeName: "kvstore", Datacenter: "dc1",
		SessionTTLMin: 10 * time.Second, LeaderWait: 7 * time.Second,
		SnapshotThreshold: 8192, SnapshotInterval: 30 * time.Second, Cluster: defaultClusterConfig(),
	}
}

// Validate reports every setting that is out of its range, by name.
func (c Config) Validate() error {
	errs := []error{c.HTTP.Validate(), c.Cluster.validate(c.NodeName)}
	word := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
	for _, f := range []struct{ name, value string }{{"NODE", c.NodeName}, {"DATACENTER", c.Datacenter}} {
		if !word.MatchString(f.value) {
			errs = append(errs, fmt.Errorf("%s: %q is not 1 to 128 letters, digits, '.', '_' or '-'", f.name, f.value))
		}
	}
	between := func(name string, d, low, high time.Duration) {
		if d < low || d > high {
			errs = append(errs, fmt.Errorf("%s: %s is outside %s to %s", name, d, low, high))
		}
	}
	between("SESSION_TTL_MIN", c.SessionTTLMin, 10*time.Millisecond, maxSessionTTL)
	between("LEADER_WAIT", c.LeaderWait, 0, time.Minute)
	between("RAFT_HEARTBEAT", c.heartbeat(), 5*time.Millisecond, 10*time.Second)
	between("SNAPSHOT_INTERVAL", c.SnapshotInterval, 5*time.Millisecond, time.Hour)
	if c.SnapshotThreshold < 16 {
		errs = append(errs, fmt.Errorf("SNAPSHOT_THRESHOLD: %d is below 16", c.SnapshotThreshold))
	}
	return errors.Join(errs...)
}
