package replication

import "time"

// Compact writes the log anew now.
func (n *Node) Compact() error { return n.log.compact(n.cut()) }

// Patient has the node wait for so long, before it runs, until others say what they have.
func (n *Node) Patient(d time.Duration) { n.ask = d }
