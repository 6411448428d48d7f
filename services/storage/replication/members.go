package replication

import (
	"context"
	"errors"
	"time"

	"imagemill/internal/fault"
	"imagemill/pkg/discovery"
	"imagemill/services/storage"
)

// Join implements discovery.MembershipHandler: it begins to follow a node. This
// node itself, in this life or an earlier one, is known by its store.
func (n *Node) Join(in discovery.Instance) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if in.ID == n.deps.Instance || in.Tags[Tag] == n.log.epoch || n.run == nil || n.peers[in.ID] != nil {
		return
	}
	ctx, stop := context.WithCancel(n.run)
	p := &peer{in: in, http: n.deps.Client(in), life: ctx, stop: stop}
	if epoch := in.Tags[Tag]; epoch != "" {
		p.epoch.Store(&epoch)
	}
	n.peers[in.ID] = p
	n.flights.Go(func() {
		defer p.http.CloseIdleConnections()
		defer stop()
		n.follow(ctx, p)
	})
}

// leaveTime bounds how long a node is followed that has withdrawn.
const leaveTime = 10 * time.Second

// Leave implements discovery.MembershipHandler: a node counts no more. It is
// followed until it does not answer, as one that stops has Puts in hand, which wait
// for their copies.
func (n *Node) Leave(in discovery.Instance) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.peers[in.ID]; p != nil {
		delete(n.peers, in.ID)
		p.left.Store(true)
		time.AfterFunc(leaveTime, p.stop)
	}
}

// others gives the nodes that are followed.
func (n *Node) others() []*peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make([]*peer, 0, len(n.peers))
	for _, p := range n.peers {
		if p.identity() != n.log.epoch {
			all = append(all, p)
		}
	}
	return all
}

// known counts the other stores that are there, as far as the registry knows.
func (n *Node) known() int {
	stores := map[string]bool{}
	for _, p := range n.others() {
		if e := p.identity(); e != "" {
			stores[e] = true
		}
	}
	return len(stores)
}

// away gives the stores that were heard of as long as deletions are remembered,
// and are not there now.
func (n *Node) away() int {
	here := map[string]bool{}
	for _, p := range n.others() {
		here[p.identity()] = true
	}
	count := 0
	for _, epoch := range n.memory.known(n.cfg.Tombstones) {
		if !here[epoch] {
			count++
		}
	}
	return count
}

// alone tells whether nobody is there, nor was, who might have what this node has not.
func (n *Node) alone() bool { return len(n.others()) == 0 && n.away() == 0 }

// askTimeout bounds asking another node whether it has a blob.
const askTimeout = 3 * time.Second

// where finds the others that have a blob, and what they say of it. It is
// fault.NotFound where all say that there is none, errNoGoodCopy where all that have
// it have it damaged, and fault.Unavailable where
// somebody who may have it cannot be asked.
func (n *Node) where(ctx context.Context, ref storage.Ref) ([]*peer, storage.Info, error) {
	type answer struct {
		p    *peer
		info storage.Info
		err  error
	}
	ctx, cancel := context.WithTimeout(ctx, n.ask)
	defer cancel()
	others := n.others()
	answers := make(chan answer, len(others))
	for _, p := range others {
		go func() {
			info, err := p.stat(ctx, ref, false)
			answers <- answer{p, info, err}
		}()
	}
	var unsure []error
	damaged := false
	for range others {
		switch a := <-answers; {
		case a.err == nil:
			return append([]*peer{a.p}, others...), a.info, nil
		case noGoodCopy(a.err):
			damaged = true
		case !fault.Is(a.err, fault.NotFound):
			unsure = append(unsure, a.err)
		}
	}
	if away := n.away(); away > 0 {
		unsure = append(unsure, errors.New("a storage node that was there is away"))
	}
	if len(unsure) > 0 {
		return nil, storage.Info{}, fault.Wrap(fault.Unavailable, "the blob is not here, and not every storage node that may have it can be asked",
			errors.Join(unsure...)).WithRetryAfter(retryAfter)
	}
	if damaged {
		return nil, storage.Info{}, fault.Wrap(fault.Internal, "every copy of the blob is damaged", errNoGoodCopy)
	}
	return nil, storage.Info{}, storage.NotFound(ref)
}
