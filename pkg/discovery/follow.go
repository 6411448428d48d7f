package discovery

import "context"

// MembershipHandler is told of single instances, where whole sets are not handy:
// for connection pools, hash rings, peers.
type MembershipHandler interface {
	// Join says that the instance is there now. It is called once for it, until
	// Leave has been called.
	Join(Instance)
	// Leave says that the instance, as it was joined, is no longer there.
	Leave(Instance)
}

// Follow turns a service's sets into Join and Leave calls, until ctx is done. It
// blocks, and makes all calls from the calling goroutine, so a handler needs no
// lock for them; while the handler is busy, sets in between are skipped. An
// instance that changed (a new URL or tag under the old ID) leaves and joins
// again. Within one set, leaves come first. When ctx ends nobody has left, so no
// call is made.
func Follow(ctx context.Context, reg Registry, service string, handler MembershipHandler) {
	present := map[string]Instance{}
	for set := range reg.Watch(ctx, service) {
		if ctx.Err() != nil {
			return
		}
		present = step(present, set, handler)
	}
}

// step makes the calls that lead from the members present to the set, and
// returns the set by ID.
func step(present map[string]Instance, set []Instance, handler MembershipHandler) map[string]Instance {
	next := make(map[string]Instance, len(set))
	for _, in := range set {
		next[in.ID] = in
	}
	for id, old := range present {
		if now, ok := next[id]; !ok || !now.Equal(old) {
			handler.Leave(old)
		}
	}
	for _, in := range set {
		if old, ok := present[in.ID]; !ok || !in.Equal(old) {
			handler.Join(in)
		}
	}
	return next
}
