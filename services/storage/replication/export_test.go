package replication

// Compact writes the log anew now.
func (n *Node) Compact() error { return n.log.compact(n.cut()) }
