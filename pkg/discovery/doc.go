// Package discovery lets the processes of a system find each other without a
// configured address: each announces an [Instance] in a [Registry], and watches
// the instances of the services it needs. It knows nothing of what they do, and
// any Go program may use it.
//
// # Registries
//
// A registry is a subpackage, and all of them pass discoverytest:
//
//   - consul: the KV store of a Consul, or of anything that speaks its API. Who dies
//     is gone after a TTL, who stops is gone at once.
//   - gossip: no store at all; every process is a member of a Serf cluster.
//   - static: addresses that are written down.
//   - mem: within one process, for tests.
//
// Watches deliver whole sets, at once and on every change, and keep the last set
// through errors of the registry: what is away for a while stops nobody. A slow
// reader misses stale sets rather than holds anybody up.
//
// Announce blocks for as long as the instance is to be seen, so it goes into a
// goroutine whose context ends before the listener closes:
//
//	reg, err := consul.New(consul.Config{Address: "http://127.0.0.1:8500"}, consul.Deps{})
//	…
//	go reg.Announce(ctx, discovery.Instance{
//		ID: uuid.NewString(), Service: "storage", URL: "http://10.0.0.7:8301",
//	}, nil)
//
// # Finding
//
// There are three ways to use what is announced, from the most to the least
// convenient. A [Transport] is an http.RoundTripper for which http://storage/…
// means any live instance of storage; it chooses the least busy, and knows what
// may be repeated when one is killed, hangs, or refuses. [Follow] calls a
// [MembershipHandler] with Join and Leave, for connection pools and hash rings.
// Registry.Watch gives the sets themselves.
//
// # What it does not do
//
// It checks the health of no instance that nobody asks anything of, does no
// weighting and no zones, and secures nothing: a registry decides who may write to
// it, and TransportDeps.PerInstance who is believed.
package discovery
