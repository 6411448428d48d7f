// Package kvstore is the suite's service registry and shared settings: Consul's
// KV, session and transaction HTTP API, on Raft.
//
// Clients of Consul (hashicorp/consul/api, consul kv, consul watch, curl) work
// against it unchanged. It promises:
//
//   - A write that was answered is on disk: the Raft log is a bbolt file that is
//     fsynced before the write is applied. Writes that arrive together share one
//     fsync.
//   - Every node takes every request, and passes on to the leader what is the
//     leader's to answer. What surely was not carried out is tried again with the
//     next leader; what may have been is not, unless a repeat does no harm.
//   - Reads are of the leader's state, and current even where a leader was paused
//     or cut off and does not know it yet: it shows nothing before a majority has
//     answered that it follows (standing.go). A default read trusts the last such
//     answer for most of a heartbeat timeout, a ?consistent one asks anew, a
//     ?stale one is of the asked node's own state. One node alone is linearizable
//     without asking.
//   - Indexes are positions in the Raft log: they only rise, survive a restart
//     and are never 0. The index of a prefix moves on deletes too.
//   - A blocking query wakes for changes of its own key or prefix only, and ends
//     at once when the client leaves or the server drains. After a second it
//     is parked, where it costs less (park.go).
//   - A session that is not renewed is gone between its TTL and its TTL plus a
//     tenth (half a second at most); what it held is deleted or released with it.
//     (Consul lets it live for up to twice the TTL.) After a restart, or
//     under another leader, every session has its whole TTL again.
//
// It does not offer Consul's catalogue, health checks, ACLs, namespaces or
// prepared queries.
//
// Nodes find each other by Serf (cluster.go, gossip.go). EXPECT fresh ones begin
// a cluster (tend.go); from then on the leader gives a vote to who comes, and
// takes it from who leaves, is reaped, or comes back wiped (voters.go). Raft runs
// over TLS between holders of one key (raft_transport.go, keys.go). With the
// defaults a node is alone, bootstraps itself, and opens no port but its API's.
//
// The way of a write: dispatch (forward.go), over relay.go where another node
// leads → http_kv.go → node.propose → Raft → fsm.ApplyBatch → stage
// (state.go, ops.go) → view, and the hub (watch.go) wakes whom it concerns. A
// read takes the current view and needs no lock.
//
// A table of calls, replayed on a real Consul 1.13 and compared (parity_test.go),
// keeps answers, headers and indexes the same. Where they differ on purpose:
//
//   - An index that the store has never reached (it was wiped) is answered at
//     once. Consul lets the watcher wait, and it would see nothing for minutes.
//   - A query for a key that is not there waits for that key. Consul also answers
//     it when anything else has changed.
//   - The index of a prefix moves when all keys of a shorter prefix are deleted.
//     Consul's does not, and the watcher misses it.
//   - Values are bounded also when their length is not announced.
//   - POST writes as PUT does; Consul refuses it.
//   - Transactions know get-or-empty, a verb of later Consuls; they know no nodes,
//     services and checks, and one with them is refused whole.
//   - A session is gone at its TTL and a tenth, as said above.
//   - A session does not end with the kvstore node that it was made on, as its
//     owner lives elsewhere.
//   - Messages that name Go types of Consul's code name others here.
package kvstore
