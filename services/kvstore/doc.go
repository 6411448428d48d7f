// Package kvstore is the suite's service registry and shared settings: Consul's
// KV, session and transaction HTTP API, on Raft.
//
// Clients of Consul (hashicorp/consul/api, consul kv, consul watch, curl) work
// against it unchanged. It promises:
//
//   - A write that was answered is on disk: the Raft log is a bbolt file that is
//     fsynced before the write is applied. Writes that arrive together share one
//     fsync.
//   - Reads are of the leader's state; with ?consistent the leader first makes
//     sure that it still is one. With one node both are linearizable.
//   - Indexes are positions in the Raft log: they only rise, survive a restart
//     and are never 0. The index of a prefix moves on deletes too.
//   - A blocking query wakes for changes of its own key or prefix only, and ends
//     at once when the client leaves or the server drains.
//   - A session that is not renewed is gone between its TTL and its TTL plus a
//     tenth (half a second at most); what it held is deleted or released with it.
//     (Consul lets it live for up to twice the TTL.) After a restart every
//     session has its whole TTL again.
//
// It does not offer Consul's catalogue, health checks, ACLs, namespaces or
// prepared queries. This version runs as one node that bootstraps itself.
//
// The way of a write: http_kv.go → node.propose → Raft → fsm.ApplyBatch → stage
// (state.go, ops.go) → view, and the hub (watch.go) wakes whom it concerns. A
// read takes the current view and needs no lock.
//
// Where it differs from Consul 1.13 on purpose: a malformed cas or flags
// parameter is the client's fault (400, not 500); keys may hold any bytes and
// "//" (Consul refuses or rewrites them); POST writes as PUT does; an index from
// the future (of a store that was wiped) is answered at once.
package kvstore
