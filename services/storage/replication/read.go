package replication

import (
	"context"
	"errors"
	"io"

	"imagemill/internal/fault"
	"imagemill/services/storage"
)

// verifyFirst is up to which size a blob that others have too is compared with its
// digest before its first byte is given out, so that theirs can be given in place
// of a damaged one: in bytes.
const verifyFirst = 64 << 20

// Get implements storage.Store. What is not here is fetched from another node, and
// so is what is found to be damaged.
func (n *Node) Get(ctx context.Context, ref storage.Ref, span storage.Span) (storage.Object, error) {
	obj, err := n.opened(ctx, ref, span, func() (storage.Object, error) {
		if span.IsWhole() && len(n.others()) > 0 {
			return n.verified(ctx, ref)
		}
		return n.local.Get(ctx, ref, span)
	})
	if err != nil {
		return storage.Object{}, err
	}
	if _, sent := obj.Body.(io.WriterTo); !sent {
		obj.Body = &watched{ReadCloser: obj.Body, n: n, ref: ref}
	}
	return obj, nil
}

// GetUnchecked implements storage.Unchecked.
func (n *Node) GetUnchecked(ctx context.Context, ref storage.Ref) (storage.Object, error) {
	return n.opened(ctx, ref, storage.Whole(), func() (storage.Object, error) {
		obj, _, err := n.local.GetStamped(ctx, ref)
		return obj, err
	})
}

// Stat implements storage.Store.
func (n *Node) Stat(ctx context.Context, ref storage.Ref) (storage.Info, error) {
	if n.memory.isLost(ref) {
		if err := n.recover(ctx, ref); err != nil {
			return storage.Info{}, err
		}
	}
	info, err := n.local.Stat(ctx, ref)
	switch {
	case fault.Is(err, fault.NotFound) && !n.buried(ref) && !n.alone():
		_, info, err = n.where(ctx, ref)
	case n.suspect(ref, err):
		if n.recover(ctx, ref) == nil {
			return n.local.Stat(ctx, ref)
		}
	}
	return info, err
}

// opened opens a blob here, once it has been brought here where it has to be.
func (n *Node) opened(
	ctx context.Context, ref storage.Ref, span storage.Span, open func() (storage.Object, error),
) (storage.Object, error) {
	if !n.memory.isLost(ref) {
		obj, err := open()
		switch {
		case fault.Is(err, fault.NotFound) && !n.buried(ref) && !n.alone():
		case n.suspect(ref, err):
		default:
			return obj, err
		}
	}
	var err error
	if n.memory.isLost(ref) {
		err = n.recover(ctx, ref)
	} else {
		err = n.bring(ctx, ref)
	}
	if fault.Is(err, fault.StorageFull) {
		return n.through(ctx, ref, span)
	}
	if err != nil {
		return storage.Object{}, err
	}
	return open()
}

// through gives what another node has, and keeps nothing of it.
func (n *Node) through(ctx context.Context, ref storage.Ref, span storage.Span) (storage.Object, error) {
	have, _, err := n.where(ctx, ref)
	if err != nil {
		return storage.Object{}, err
	}
	obj, _, err := have[0].get(ctx, ref, true)
	if err != nil {
		return storage.Object{}, err
	}
	obj.Offset, obj.Length, err = span.Resolve(obj.Size)
	if err == nil {
		_, err = io.CopyN(io.Discard, obj.Body, obj.Offset)
	}
	if err != nil {
		return storage.Object{}, errors.Join(err, obj.Body.Close())
	}
	if obj.Length < obj.Size-obj.Offset {
		obj.Body = part{io.LimitReader(obj.Body, obj.Length), obj.Body}
	}
	return obj, nil
}

// part is the beginning of a body.
type part struct {
	io.Reader
	io.Closer
}

// verified opens a whole blob that has been compared with its digest.
func (n *Node) verified(ctx context.Context, ref storage.Ref) (storage.Object, error) {
	held, err := n.local.Held(ctx, ref)
	if err != nil {
		return storage.Object{}, err
	}
	if held.Size > verifyFirst || held.Size <= smallest {
		return n.local.Get(ctx, ref, storage.Whole())
	}
	if err := n.local.Verify(ctx, ref, nil); err != nil {
		return storage.Object{}, err
	}
	obj, _, err := n.local.GetStamped(ctx, ref)
	return obj, err
}

// smallest is up to which size a Get of the disk compares before it gives out.
const smallest = 1 << 20

// buried tells whether a blob was deleted.
func (n *Node) buried(ref storage.Ref) bool {
	_, ok := n.log.tomb(ref)
	return ok
}

// bring fetches a blob that another node has.
func (n *Node) bring(ctx context.Context, ref storage.Ref) error {
	have, _, err := n.where(ctx, ref)
	if err != nil {
		return err
	}
	n.metrics.readThrough.Inc()
	return n.fetch(ctx, ref, have)
}

// watched is the body of a blob that is compared while it is given out.
type watched struct {
	io.ReadCloser
	n   *Node
	ref storage.Ref
}

// Read passes on, and takes note of damage.
func (w *watched) Read(p []byte) (int, error) {
	k, err := w.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		w.n.suspect(w.ref, err)
	}
	return k, err
}
