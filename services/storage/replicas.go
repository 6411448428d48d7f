package storage

import (
	"errors"
	"fmt"
	"time"

	"imagemill/internal/config"
)

// Replication is how the disk of a storage node is copied to others, and looked after.
type Replication struct {
	// Replicas is how many nodes hold a blob when a Put that says nothing of it
	// returns: 1 to 10.
	Replicas int `env:"REPLICAS" help:"on how many storage nodes a blob is durable before it counts as stored, 1 to 10, where the caller does not ask for more; 2 needs two nodes"`
	// ReplicaWait bounds the wait for the other nodes.
	ReplicaWait time.Duration `env:"REPLICA_WAIT" help:"how long a blob waits for its copies before it is refused with 503, 10ms to 5m; it stays, and a repeat is safe"`
	// Tombstones is how long a deletion is remembered.
	Tombstones time.Duration `env:"TOMBSTONES" help:"how long deletions are remembered for storage nodes that are away, and nodes for each other, 1m to 10000h"`
	// Parallel is how many blobs are copied at a time, from each node.
	Parallel int `env:"PULLS" help:"how many blobs are copied at a time from each other storage node, 1 to 256"`
	// ScrubRate is in bytes a second.
	ScrubRate config.Bytes `env:"SCRUB_RATE" help:"bytes a second that are read to find damage; 0: never"`
	// ScrubPause is from the end of one round to the beginning of the next.
	ScrubPause time.Duration `env:"SCRUB_PAUSE" help:"how long after all blobs were read the next round begins, 0s or more"`
}

// DefaultReplication gives the defaults: one copy, deletions remembered for three
// days, all read once a day or as fast as 4 MiB a second allow.
func DefaultReplication() Replication {
	return Replication{
		Replicas: 1, ReplicaWait: 5 * time.Second, Tombstones: 72 * time.Hour, Parallel: 16,
		ScrubRate: 4 << 20, ScrubPause: 24 * time.Hour,
	}
}

// MaxReplicas bounds the copies that may be asked for.
const MaxReplicas = 10

// CheckReplicas reports a number of copies that a caller cannot ask for, by the
// name of the setting STORAGE_REPLICAS; 0 leaves it to the storage.
func CheckReplicas(n int) error {
	if n < 0 || n > MaxReplicas {
		return fmt.Errorf("STORAGE_REPLICAS: %d is outside 0 to %d", n, MaxReplicas)
	}
	return nil
}

// Validate reports every setting that is out of its range.
func (c Replication) Validate() error {
	var errs []error
	if c.Replicas < 1 || c.Replicas > MaxReplicas {
		errs = append(errs, fmt.Errorf("REPLICAS: %d is outside 1 to %d", c.Replicas, MaxReplicas))
	}
	if c.ReplicaWait < 10*time.Millisecond || c.ReplicaWait > 5*time.Minute {
		errs = append(errs, fmt.Errorf("REPLICA_WAIT: %s is outside 10ms to 5m", c.ReplicaWait))
	}
	if c.Tombstones < time.Minute || c.Tombstones > 10_000*time.Hour {
		errs = append(errs, fmt.Errorf("TOMBSTONES: %s is outside 1m to 10000h", c.Tombstones))
	}
	if c.Parallel < 1 || c.Parallel > 256 {
		errs = append(errs, fmt.Errorf("PULLS: %d is outside 1 to 256", c.Parallel))
	}
	if c.ScrubRate < 0 {
		errs = append(errs, fmt.Errorf("SCRUB_RATE: %s is below 0 (0: never)", c.ScrubRate))
	}
	if c.ScrubPause < 0 {
		errs = append(errs, fmt.Errorf("SCRUB_PAUSE: %s is below 0s", c.ScrubPause))
	}
	return errors.Join(errs...)
}
