package replication

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"imagemill/internal/fault"
	"imagemill/services/storage"
)

const (
	// pullLines is how many lines are taken at once: what a blob waits for at most
	// that has been put on the other node after others.
	pullLines = 256
	pullWait  = 25 * time.Second
	// pauses after a node could not be followed.
	minPause = 50 * time.Millisecond
	maxPause = 2 * time.Second
)

// follow copies what another node has, until ctx is done, or one that has left does
// not answer.
func (n *Node) follow(ctx context.Context, p *peer) {
	pause := minPause
	there := false
	for ctx.Err() == nil && p.identity() != n.log.epoch {
		var err error
		if !there && n.memory.isBehind(n.cfg.Tombstones) {
			err = n.meet(ctx, p)
			p.met.Store(err == nil)
		}
		if err == nil && p.identity() != n.log.epoch {
			err = n.step(ctx, p, there)
		}
		if err == nil {
			p.met.Store(true)
			if !there {
				n.heal(nil) // it may have what is damaged here
			}
			pause, there = minPause, true
			continue
		}
		if there {
			p.met.Store(false)
		}
		there = false
		if ctx.Err() != nil || p.left.Load() {
			return
		}
		if pause == minPause {
			n.deps.Log.Warn("another storage node cannot be followed; it is tried again", "peer", p.in.ID, "error", err)
		}
		wait(ctx, pause)
		pause = min(2*pause, maxPause)
	}
}

// wait returns after d, or when ctx is done.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// step takes one piece of another node's log. Asking for the next one says that
// all of this one is durable here. Unless it is patient, it does not wait for lines.
func (n *Node) step(ctx context.Context, p *peer, patient bool) error {
	hold := time.Duration(0)
	if patient {
		hold = pullWait
	}
	epoch := p.identity()
	from := n.memory.position(epoch)
	b, err := p.log(ctx, n.log.epoch, epoch, from, pullLines, hold)
	if err != nil {
		return err
	}
	n.clock.observe(b.clock)
	if b.epoch != epoch {
		p.epoch.Store(&b.epoch) // the lines of the next answer will be its own
		p.ahead = 0
		return nil
	}
	if from > b.end {
		// It has fewer lines than we have read: its folder is an older one.
		n.deps.Log.Warn("another storage node's log is shorter than it was; it is followed from the start", "peer", p.in.ID)
		n.memory.setPosition(epoch, 0)
		p.ahead = 0
		return nil
	}
	if from > 0 && from <= b.forgotten {
		if err := n.reconcile(ctx, p, b.seen); err != nil {
			return err
		}
	}
	if err := n.apply(ctx, p, b.records); fault.Is(err, fault.StorageFull) {
		return errors.Join(err, n.deleteAhead(ctx, p, from))
	} else if err != nil {
		return err
	}
	n.memory.setPosition(epoch, b.next)
	return nil
}

// deleteAhead follows the deletions of another node from a line on, whose blob there
// is no room for: else what was deleted would be served until there is, and keep the
// room. They go by stamps, so that the lines between them may follow later, and the
// deletions again.
func (n *Node) deleteAhead(ctx context.Context, p *peer, from int64) error {
	for p.ahead = max(p.ahead, from); ; {
		b, err := p.log(ctx, "", p.identity(), p.ahead, maxLines, 0)
		if err != nil {
			return err
		}
		if b.epoch != p.identity() || len(b.records) == 0 {
			return nil
		}
		b.records = slices.DeleteFunc(b.records, func(r record) bool { return r.op != opDelete })
		if err := n.apply(ctx, p, b.records); err != nil {
			return err
		}
		p.ahead = b.next
	}
}

// apply makes lines of another node true here, durably.
func (n *Node) apply(ctx context.Context, p *peer, lines []record) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(n.cfg.Parallel)
	buried := false
	for _, r := range lines {
		n.clock.observe(r.stamp)
		if r.op == opDelete {
			buried = true
		}
		g.Go(func() error {
			if r.op == opDelete {
				return n.remove(gctx, r)
			}
			return n.take(gctx, p, r)
		})
	}
	if err := g.Wait(); err != nil || !buried {
		return err
	}
	return n.log.sync()
}

// remove follows a deletion.
func (n *Node) remove(ctx context.Context, r record) error {
	return n.local.Remove(ctx, r.ref, func(old storage.Old) error {
		if old.Err == nil && old.Stamp > r.stamp {
			return storage.ErrNotWanted // it was put again since
		}
		gone := fault.Is(old.Err, fault.NotFound)
		stamp, known := n.log.tomb(r.ref)
		if gone && known && stamp >= r.stamp || gone && r.stamp < n.cut() && !n.memory.isLost(r.ref) {
			return storage.ErrNotWanted
		}
		// Only what is there must not be removed before its end is durable.
		return n.bury(r.ref, r.stamp, !gone, !gone)
	})
}

// cut is the stamp below which deletions are forgotten.
func (n *Node) cut() int64 { return n.clock.now() - n.cfg.Tombstones.Nanoseconds() }

// take copies a blob, unless it is here already or of no more use.
func (n *Node) take(ctx context.Context, p *peer, r record) error {
	var err error
	for joined := true; joined; {
		if !n.wanted(ctx, r) {
			return nil
		}
		// What others had fetched may be older, or have failed: only what comes from p
		// tells about this line.
		if joined, err = n.fetch(ctx, r.ref, []*peer{p}); ctx.Err() != nil {
			return ctx.Err()
		}
	}
	switch {
	case err == nil:
		return nil
	case fault.Is(err, fault.NotFound):
		return nil // it went away; a later line says so
	case errors.Is(err, errNoGoodCopy):
		// The other node has no good copy either. Somebody else may, and when it is
		// healed there, it is healed from here or from there.
		n.deps.Log.Warn("a blob could not be copied", "state", r.ref.State, "key", r.ref.Key, "peer", p.in.ID, "error", err)
		n.lose(r.ref, r.stamp)
		return nil
	}
	return err
}

// wanted tells whether a line speaks of something newer than what is here.
func (n *Node) wanted(ctx context.Context, r record) bool {
	if stamp, ok := n.log.tomb(r.ref); ok && stamp >= r.stamp {
		return false
	}
	held, err := n.local.Held(ctx, r.ref)
	if err != nil || n.memory.isLost(r.ref) {
		return true
	}
	// By its stamp, also where the bytes are the same: a deletion in between would else
	// take what the line has been acknowledged for.
	return held.Stamp < r.stamp || held.Stamp == r.stamp && held.SHA256 < r.sha
}
