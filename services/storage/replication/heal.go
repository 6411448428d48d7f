package replication

import (
	"context"
	"errors"
	"math"
	"time"

	"imagemill/internal/fault"
	"imagemill/services/storage"
)

// healEvery is how often those blobs are tried again that nobody had a good copy of.
const healEvery = time.Minute

// suspect takes note where an error says that a blob is damaged here, and tells
// whether it does.
func (n *Node) suspect(ref storage.Ref, err error) bool {
	if err == nil || !n.local.Damaged(err) {
		return false
	}
	if n.lose(ref, math.MinInt64) {
		n.metrics.damaged.Inc()
		n.deps.Log.Error("a blob is damaged; it is not served from here until another storage node has given a good copy",
			"state", ref.State, "key", ref.Key, "error", err)
	}
	return true
}

// lose notes that there is no good copy here of what was put at stamp or later, and
// has one looked for; unless it was deleted, and be it just now.
func (n *Node) lose(ref storage.Ref, stamp int64) bool {
	if !n.memory.setLost(ref, true) {
		return false
	}
	// Asked afterwards, as bury takes the note back once its line is written: whichever
	// is the later one finds what the other one did.
	if buried, ok := n.log.tomb(ref); ok && buried >= stamp {
		n.memory.setLost(ref, false)
		return false
	}
	n.heal(&ref)
	return true
}

// heal has the healer look for one blob, or for all that are lost for nil. One
// that is not waited for has its turn with all.
func (n *Node) heal(ref *storage.Ref) {
	select {
	case n.healing <- ref:
	default:
	}
}

// recover fetches a good copy of a blob that is damaged or missing here. Until
// there is one, it is fault.Internal, or fault.Unavailable where somebody who may
// have one cannot be asked; and fault.NotFound where it was deleted here and nobody
// has it.
func (n *Node) recover(ctx context.Context, ref storage.Ref) error {
	if n.local.Verify(ctx, ref, nil) == nil {
		n.memory.setLost(ref, false) // it was the reading that failed, or somebody put it back
		return nil
	}
	err := n.bring(ctx, ref)
	switch {
	case err == nil && n.memory.isLost(ref):
		// What came was older than what is damaged here.
		return fault.Newf(fault.Internal, "the blob %s in %s is damaged, and only older copies are left", ref.Key, ref.State)
	case fault.Is(err, fault.NotFound) && n.buried(ref):
		n.memory.setLost(ref, false)
		return err
	case fault.Is(err, fault.NotFound), errors.Is(err, errNoGoodCopy):
		return fault.Newf(fault.Internal, "the blob %s in %s is damaged, and there is no other copy", ref.Key, ref.State)
	}
	return err
}

// healer looks for good copies of what is lost, whenever there is reason to hope
// and every so often, until ctx is done.
func (n *Node) healer(ctx context.Context) error {
	again := time.NewTicker(healEvery)
	defer again.Stop()
	for {
		var one *storage.Ref
		select {
		case <-ctx.Done():
			return nil
		case one = <-n.healing:
		case <-again.C:
		}
		if len(n.others()) == 0 {
			continue
		}
		lost := n.memory.lost()
		if one != nil {
			lost = []storage.Ref{*one}
		}
		for _, ref := range lost {
			if ctx.Err() != nil {
				return nil
			}
			if !n.memory.isLost(ref) {
				continue
			}
			if err := n.recover(ctx, ref); err != nil {
				n.deps.Log.Debug("no good copy yet", "state", ref.State, "key", ref.Key, "error", err)
			}
		}
	}
}

// scrubState is the order in which the states are read.
func scrubState(c cursor) storage.State {
	if c.State == storage.Finished {
		return storage.Finished
	}
	return storage.InProgress
}

// scrubber reads all blobs, slowly, and again after a pause, until ctx is done.
func (n *Node) scrubber(ctx context.Context) error {
	if n.cfg.ScrubRate == 0 {
		<-ctx.Done()
		return nil
	}
	pace := &pace{rate: int64(n.cfg.ScrubRate), now: n.deps.Now}
	for ctx.Err() == nil {
		c := n.memory.scrub()
		if !c.Rested.IsZero() {
			wait(ctx, max(minRest, c.Rested.Add(n.cfg.ScrubPause).Sub(n.deps.Now())))
			if ctx.Err() != nil {
				break
			}
			c = cursor{State: storage.InProgress}
			n.memory.setScrub(c)
		}
		if err := n.scrubPage(ctx, c, pace); err != nil && ctx.Err() == nil {
			n.deps.Log.Warn("scrub blobs", "error", err)
			wait(ctx, maxPause)
		}
	}
	return nil
}

// scrubPage reads the blobs of one page and moves on.
func (n *Node) scrubPage(ctx context.Context, c cursor, p *pace) error {
	state := scrubState(c)
	page, err := n.local.List(ctx, state, c.After, scrubBlobs)
	if err != nil {
		return err
	}
	for _, b := range page.Blobs {
		ref := storage.Ref{State: state, Key: b.Key}
		if n.memory.isLost(ref) {
			continue
		}
		if err := p.wait(ctx, scrubCost); err != nil {
			return err
		}
		err := n.local.Verify(ctx, ref, p.wait)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !n.suspect(ref, err) && err != nil && !fault.Is(err, fault.NotFound) {
			n.deps.Log.Warn("a blob could not be read", "state", ref.State, "key", ref.Key, "error", err)
		}
		n.metrics.scrubbed.Inc()
		n.memory.setScrub(cursor{State: state, After: b.Key})
	}
	switch {
	case page.Next != "":
		n.memory.setScrub(cursor{State: state, After: page.Next})
	case state == storage.InProgress:
		n.memory.setScrub(cursor{State: storage.Finished})
	default:
		n.memory.setScrub(cursor{Rested: n.deps.Now()})
	}
	return nil
}

const (
	scrubBlobs = storage.MaxPage
	// minRest keeps rounds over an empty folder from following each other at once.
	minRest = 100 * time.Millisecond
	// scrubCost is what opening a blob counts for, in bytes: many small ones are not
	// read faster than the disk likes to seek.
	scrubCost = 16 << 10
)

// pace lets so many bytes pass in a second.
type pace struct {
	rate int64
	now  func() time.Time
	free time.Time // when what has passed is paid for
}

// wait returns when the bytes may pass.
func (p *pace) wait(ctx context.Context, bytes int) error {
	now := p.now()
	if p.free.Before(now) {
		p.free = now
	}
	if ahead := p.free.Sub(now); ahead > 10*time.Millisecond {
		wait(ctx, ahead)
	}
	p.free = p.free.Add(time.Duration(int64(bytes) * int64(time.Second) / p.rate))
	return ctx.Err()
}
