// Package replication copies the blobs of disks between storage nodes, so that
// each holds all of them, and looks after what it holds.
//
// A [Node] is a storage.Store over a disk. Every node writes down what it holds in
// an append-only log, in the folder "replication" beside its blobs, and follows
// the logs of all others, which it hears of as a discovery.MembershipHandler:
//
//	GET  /replication/log                  lines from a number on; waits for some
//	GET  /replication/blobs/{state}/{key}  a blob of this node alone
//	HEAD /replication/blobs/{state}/{key}  its description
//
// It promises that what one node has, another that is connected to it will have;
// that a blob is fetched once, whoever offers it, and counts as copied only when
// it is durable; that a node hands on what it has, whoever it came from; that a
// deletion reaches every node that is not away for longer than deletions are
// remembered, and one that was away longer does not bring back what it had; that
// damaged bytes are never taken over, nor served; and that a blob is not called
// missing while a node that may have it cannot be asked.
//
// Each blob and each deletion has a stamp (see clock); of two that contradict each
// other the one with the higher stamp holds, on every node.
//
// It does not choose who holds what: every node holds everything. Nodes do not
// agree on anything before they act: two Puts of one key on two nodes at the same
// time both succeed, and one of them remains.
package replication
