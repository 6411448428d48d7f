package replication

import (
	"context"
	"fmt"
	"time"

	"imagemill/internal/fault"
	"imagemill/internal/rungroup"
	"imagemill/pkg/discovery"
	"imagemill/services/storage"
)

const (
	saveEvery    = time.Second
	compactEvery = time.Minute
	// maxComparePause is the longest pause after the folder could not be compared.
	maxComparePause = 30 * time.Second
)

// Run finds other nodes, follows them, and looks after the blobs, until ctx is done.
func (n *Node) Run(ctx context.Context) error {
	var g rungroup.Group
	g.Add("memory", n.keepUp)
	g.Add("healer", n.healer)
	g.Add("scrubber", n.scrubber)
	g.Add("compare", n.compareAll)
	g.Add("members", func(ctx context.Context) error {
		n.mu.Lock()
		n.run = ctx
		n.mu.Unlock()
		if n.deps.Registry == nil {
			<-ctx.Done()
		} else {
			discovery.Follow(ctx, n.deps.Registry, "storage", n)
		}
		n.mu.Lock()
		n.run = nil
		clear(n.peers)
		n.mu.Unlock()
		n.flights.Wait()
		return nil
	})
	return g.Run(ctx)
}

// keepUp saves what is remembered and keeps the log short.
func (n *Node) keepUp(ctx context.Context) error {
	compact := time.NewTicker(compactEvery)
	defer compact.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-n.memory.touched:
			wait(ctx, saveEvery)
			err = n.memory.save()
		case <-compact.C:
			if cut := n.cut(); n.log.wasteful(cut) {
				err = n.log.compact(cut)
			}
		}
		if err != nil {
			n.deps.Log.Warn("keep up replication", "error", err)
		}
	}
}

// compareAll compares until it has succeeded once, since nobody may follow this
// node before, and then waits until ctx is done.
func (n *Node) compareAll(ctx context.Context) error {
	for pause := minPause; ctx.Err() == nil; pause = min(2*pause, maxComparePause) {
		err := n.compare(ctx)
		if ctx.Err() != nil {
			break
		}
		n.mu.Lock()
		n.trouble = err
		n.mu.Unlock()
		if err == nil {
			close(n.compared)
			<-ctx.Done()
			break
		}
		if pause == minPause {
			n.deps.Log.Error("the folder could not be compared with the replication log; it is tried again", "error", err)
		}
		wait(ctx, pause)
	}
	return nil
}

// compare makes the log say what the folder holds: what a power cut took of its
// end, or what lay there before there was a log, is written down; a deletion that
// was not ended is; and what should be there and is not is fetched from others.
func (n *Node) compare(ctx context.Context) error {
	added, ended := 0, 0
	for _, state := range []storage.State{storage.InProgress, storage.Finished} {
		err := n.local.Walk(ctx, state, func(key string) error {
			ref := storage.Ref{State: state, Key: key}
			if n.log.found(ref) {
				return nil
			}
			a, e, err := n.settle(ctx, ref)
			added, ended = added+a, ended+e
			return err
		})
		if err != nil {
			return err
		}
	}
	missing, err := n.absent(ctx)
	if err == nil && added+ended+missing > 0 {
		n.deps.Log.Info("the replication log was brought in line with the folder", "added", added, "removed", ended, "missing", missing)
	}
	return err
}

// settle decides about a blob that the log does not know.
func (n *Node) settle(ctx context.Context, ref storage.Ref) (added, ended int, err error) {
	err = n.local.Remove(ctx, ref, func(old storage.Old) error {
		switch stamp, buried := n.log.tomb(ref); {
		case fault.Is(old.Err, fault.NotFound), n.log.found(ref):
			return storage.ErrNotWanted
		case old.Err != nil:
			n.suspect(ref, old.Err)
			return storage.ErrNotWanted
		case buried && stamp >= old.Stamp:
			ended = 1
			n.log.count(-1)
			return nil
		}
		n.clock.observe(old.Stamp)
		if _, err := n.write(ref, old.Held, false); err != nil {
			return err
		}
		added = 1
		return storage.ErrNotWanted
	})
	return added, ended, err
}

// absent finds what the log says is held, and is not there.
func (n *Node) absent(ctx context.Context) (missing int, err error) {
	left := n.log.unfound()
	err = n.log.each(func(r record) bool {
		if len(left) == 0 || ctx.Err() != nil {
			return false
		}
		if r.op != opPut || !left[n.log.hash(r.ref)] {
			return true
		}
		delete(left, n.log.hash(r.ref))
		if _, err := n.local.Held(ctx, r.ref); fault.Is(err, fault.NotFound) && !n.buried(r.ref) && n.lose(r.ref, r.stamp) {
			missing++
			n.deps.Log.Error("a blob that was held is missing", "state", r.ref.State, "key", r.ref.Key)
		}
		return true
	})
	if err == nil && ctx.Err() == nil {
		n.log.walked()
	}
	return missing, err
}

// behind tells whether others may have forgotten deletions that this node has not
// seen, so that nobody may copy what it holds. That ends once it has met all who
// are there; who is gone for good is not waited for.
func (n *Node) behind() bool {
	if !n.memory.isBehind(n.cfg.Tombstones) {
		return false
	}
	others := n.others()
	for _, p := range others {
		if !p.met.Load() {
			return true
		}
	}
	if len(others) == 0 {
		return true // nor does this node know who asks
	}
	n.memory.caughtUp()
	return false
}

// meet reconciles with another node, if need be, before it is followed, which it
// may refuse until it has done the same.
func (n *Node) meet(ctx context.Context, p *peer) error {
	b, err := p.log(ctx, n.log.epoch, "", 0, 1, 0)
	if err != nil {
		return err
	}
	p.epoch.Store(&b.epoch)
	if from := n.memory.position(b.epoch); from > 0 && from <= b.forgotten {
		err = n.reconcile(ctx, p, b.seen)
	}
	return err
}

// reconcile is for a node that was away for so long that the other one has
// forgotten deletions that this node has not seen. What this node put before the
// other one read it there, and the other one does not hold now, it has deleted:
// the other one's log, without gaps, says what it holds.
func (n *Node) reconcile(ctx context.Context, p *peer, seen int64) error {
	holds := map[keyHash]struct{}{}
	for from := int64(0); ; {
		b, err := p.log(ctx, "", p.identity(), from, maxLines, 0)
		if err != nil {
			return err
		}
		if b.epoch != p.identity() {
			return fmt.Errorf("the store of %s has changed", p.in.ID)
		}
		for _, r := range b.records {
			if r.op == opPut {
				holds[n.log.hash(r.ref)] = struct{}{}
			} else {
				delete(holds, n.log.hash(r.ref))
			}
		}
		if len(b.records) == 0 || b.next >= b.end {
			break
		}
		from = b.next
	}
	var gone []record
	err := n.log.each(func(r record) bool {
		_, held := holds[n.log.hash(r.ref)]
		if r.op == opPut && r.seq < seen && !held && r.stamp < n.cut() {
			gone = append(gone, r)
		}
		return true
	})
	if err != nil {
		return err
	}
	removed := 0
	for _, r := range gone {
		if _, err := n.local.Held(ctx, r.ref); fault.Is(err, fault.NotFound) {
			continue
		}
		if _, err := p.stat(ctx, r.ref, true); !fault.Is(err, fault.NotFound) {
			continue // its log is not the whole truth
		}
		// Not after the blob's own stamp by more than need be: what was put since stays.
		r.op, r.stamp = opDelete, r.stamp+1
		if err := n.remove(ctx, r); err != nil {
			return err
		}
		removed++
	}
	n.deps.Log.Warn("this storage node was away for longer than deletions are remembered, and has caught up with them",
		"peer", p.in.ID, "removed", removed)
	return nil
}
