package replication

import (
	"context"
	"errors"
	"fmt"
	"time"

	"imagemill/internal/fault"
	"imagemill/services/storage"
)

// fetching is a blob on its way here; all who want it wait for it together.
type fetching struct {
	done chan struct{}
	err  error
}

// slowest is the pace at which a blob has to arrive, in bytes a second, after
// answerTimeout.
const slowest = 64 << 10

// errNoGoodCopy says that a node has a blob, but damaged.
var errNoGoodCopy = errors.New("the copy of another storage node is damaged")

// noGoodCopy tells whether a node says so.
func noGoodCopy(err error) bool {
	return fault.Is(err, fault.Internal) || fault.Is(err, fault.Conflict)
}

// fetch copies a blob from the first of the nodes that gives a good one. It goes on
// when the caller has gone. fault.NotFound where none has it, errNoGoodCopy where
// those that have it have no good copy; other errors are those of this disk, or of
// the way.
func (n *Node) fetch(ctx context.Context, ref storage.Ref, from []*peer) error {
	n.mu.Lock()
	f := n.fetches[ref]
	if f == nil {
		if n.run == nil {
			n.mu.Unlock()
			return fault.New(fault.Unavailable, "this storage node is about to stop").WithRetryAfter(retryAfter)
		}
		f = &fetching{done: make(chan struct{})}
		n.fetches[ref] = f
		run := n.run
		n.flights.Go(func() {
			f.err = n.fetchFrom(run, ref, from)
			n.mu.Lock()
			delete(n.fetches, ref)
			n.mu.Unlock()
			close(f.done)
		})
	}
	n.mu.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *Node) fetchFrom(ctx context.Context, ref storage.Ref, from []*peer) error {
	worst := storage.NotFound(ref)
	for i, p := range from {
		if i > 0 && p == from[0] {
			continue
		}
		err := n.copyFrom(ctx, p, ref, false)
		if fault.Is(err, fault.Invalid) { // other bytes than the digest says
			err = n.copyFrom(ctx, p, ref, true)
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		if fault.Is(err, fault.Invalid) {
			err = errors.Join(errNoGoodCopy, err)
		}
		if !fault.Is(err, fault.NotFound) {
			worst = err
		}
	}
	return worst
}

// copyFrom copies a blob from one node, checked by that node, or here.
func (n *Node) copyFrom(ctx context.Context, p *peer, ref storage.Ref, checked bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(answerTimeout, cancel)
	defer late.Stop()
	obj, stamp, err := p.get(ctx, ref, checked)
	if noGoodCopy(err) {
		return errors.Join(errNoGoodCopy, err)
	}
	if err != nil {
		return err
	}
	defer obj.Body.Close() //nolint:errcheck // only read
	late.Reset(answerTimeout + time.Duration(obj.Size/slowest)*time.Second)
	n.clock.observe(stamp)
	_, err = n.local.Keep(ctx, ref, obj.Body, storage.PutOptions{Size: obj.Size, SHA256: obj.SHA256}, storage.Hooks{
		Stamp: func() int64 { return stamp },
		Admit: func(storage.Held) error {
			if buried, ok := n.log.tomb(ref); ok && buried >= stamp {
				return storage.ErrNotWanted
			}
			return nil
		},
		Replace: func(old storage.Old, now storage.Held) error { return n.replaces(ref, old, now) },
		Done: func(now storage.Held, replaced bool) error {
			_, err := n.write(ref, now, replaced)
			return err
		},
	})
	if errors.Is(err, storage.ErrNotWanted) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("copy blob %s/%s from %s: %w", ref.State, ref.Key, p.in.ID, err)
	}
	n.metrics.pulled.Inc()
	n.metrics.pulledBytes.Add(float64(obj.Size))
	return nil
}

// replaces decides whether what was fetched takes the place of what is here.
func (n *Node) replaces(ref storage.Ref, old storage.Old, now storage.Held) error {
	switch {
	case old.Err != nil:
		return nil // nothing, or nothing of use
	case n.memory.isLost(ref) && (old.SHA256 == now.SHA256 || old.Stamp < now.Stamp):
		return nil
	case old.Stamp < now.Stamp, old.Stamp == now.Stamp && old.SHA256 < now.SHA256:
		return nil
	}
	return storage.ErrNotWanted
}
