package replication

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"imagemill/internal/fault"
	"imagemill/services/storage"
)

// fetching is a blob on its way here; all who want it wait for it together.
type fetching struct {
	done chan struct{}
	err  error
}

// slowest is the pace at which a blob has to arrive, in bytes a second; it may fall
// behind that by answerTimeout, and no more.
const slowest = 64 << 10

var (
	// errNoGoodCopy says that a node has a blob, but damaged.
	errNoGoodCopy = errors.New("the copy of another storage node is damaged")
	// errBrokeOff says that a node began to send a blob, and ended too early.
	errBrokeOff = errors.New("the blob broke off")
)

// noGoodCopy tells whether a node says so.
func noGoodCopy(err error) bool {
	return fault.Is(err, fault.Internal) || fault.Is(err, fault.Conflict)
}

// fetch copies a blob from the first of the nodes that gives a good one. It goes on
// when the caller has gone. fault.NotFound where none has it, errNoGoodCopy where
// those that have it have no good copy; other errors are those of this disk, or of
// the way. Where joined, it was under way already, from whoever: another version may
// have come than from has, or none.
func (n *Node) fetch(ctx context.Context, ref storage.Ref, from []*peer) (joined bool, err error) {
	n.mu.Lock()
	f := n.fetches[ref]
	joined = f != nil
	if !joined {
		if n.run == nil {
			n.mu.Unlock()
			return false, fault.New(fault.Unavailable, "this storage node is about to stop").WithRetryAfter(retryAfter)
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
		return joined, f.err
	case <-ctx.Done():
		return joined, ctx.Err()
	}
}

func (n *Node) fetchFrom(ctx context.Context, ref storage.Ref, from []*peer) error {
	worst := storage.NotFound(ref)
	for i, p := range from {
		if i > 0 && p == from[0] {
			continue
		}
		err := n.copyFrom(ctx, p, ref, false)
		if fault.Is(err, fault.Invalid) || errors.Is(err, errBrokeOff) {
			// Other bytes than the digest says, or none where the disk there does not give
			// them: asked to look first, the node tells.
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

// copyFrom copies a blob from one node, checked by that node, or here. It ends when
// that node leaves, or stands still.
func (n *Node) copyFrom(run context.Context, p *peer, ref storage.Ref, checked bool) error {
	ctx, cancel := context.WithCancel(run)
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	late := time.AfterFunc(answerTimeout, cancel)
	defer late.Stop()
	obj, stamp, err := p.get(ctx, ref, checked)
	late.Stop()
	if noGoodCopy(err) {
		return errors.Join(errNoGoodCopy, err)
	}
	if err != nil {
		return err
	}
	defer obj.Body.Close() //nolint:errcheck // only read
	body := &paced{r: obj.Body, late: late, left: answerTimeout}
	n.clock.observe(stamp)
	_, err = n.local.Keep(ctx, ref, body, storage.PutOptions{Size: obj.Size, SHA256: obj.SHA256}, storage.Hooks{
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
	switch {
	case body.err == nil || run.Err() != nil:
	case ctx.Err() == nil:
		err = errors.Join(errBrokeOff, err)
	default:
		err = fault.Wrap(fault.Unavailable, "another storage node has left, or stands still", err).WithRetryAfter(retryAfter)
	}
	if err != nil {
		return fmt.Errorf("copy blob %s/%s from %s: %w", ref.State, ref.Key, p.in.ID, err)
	}
	n.metrics.pulled.Inc()
	n.metrics.pulledBytes.Add(float64(obj.Size))
	return nil
}

// paced is a body that has to keep the pace of slowest. Time counts while it is
// waited for, and not while what came is written.
type paced struct {
	r    io.Reader
	late *time.Timer   // what ends it
	left time.Duration // how far it may fall behind from here on
	err  error         // what ended it before its end
}

// Read is ended by late, where it takes too long.
func (b *paced) Read(p []byte) (int, error) {
	began := time.Now()
	b.late.Reset(b.left)
	k, err := b.r.Read(p)
	b.late.Stop()
	b.left = min(answerTimeout, b.left-time.Since(began)+time.Duration(k)*time.Second/slowest)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return k, err
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
