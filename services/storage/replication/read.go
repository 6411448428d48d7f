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
	obj.Body = n.watch(obj.Body, ref)
	return obj, nil
}

// GetUnchecked implements storage.Unchecked.
func (n *Node) GetUnchecked(ctx context.Context, ref storage.Ref) (storage.Object, error) {
	obj, err := n.opened(ctx, ref, storage.Whole(), func() (storage.Object, error) {
		obj, _, err := n.local.GetStamped(ctx, ref)
		return obj, err
	})
	if err != nil {
		return storage.Object{}, err
	}
	obj.Body = n.watch(obj.Body, ref)
	return obj, nil
}

// Stat implements storage.Store. Where there is no room for a good copy, it says
// what another node has.
func (n *Node) Stat(ctx context.Context, ref storage.Ref) (storage.Info, error) {
	if !n.memory.isLost(ref) {
		info, err := n.local.Stat(ctx, ref)
		switch {
		case fault.Is(err, fault.NotFound) && !n.buried(ref) && !n.alone():
			_, info, err = n.where(ctx, ref)
			return info, err
		case n.suspect(ref, err):
		default:
			return info, err
		}
	}
	err := n.mend(ctx, ref)
	if fault.Is(err, fault.StorageFull) {
		_, info, err := n.where(ctx, ref)
		return info, err
	}
	if err != nil {
		return storage.Info{}, err
	}
	return n.local.Stat(ctx, ref)
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
	err := n.mend(ctx, ref)
	if fault.Is(err, fault.StorageFull) {
		return n.through(ctx, ref, span)
	}
	if err != nil {
		return storage.Object{}, err
	}
	return open()
}

// mend brings a good copy of a blob here that is damaged here, or not here.
func (n *Node) mend(ctx context.Context, ref storage.Ref) error {
	switch {
	case n.memory.isLost(ref):
		return n.recover(ctx, ref)
	case n.buried(ref):
		return storage.NotFound(ref) // it was deleted while it was read
	}
	return n.bring(ctx, ref)
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
	joined, err := n.fetch(ctx, ref, have)
	if joined && err != nil && ctx.Err() == nil {
		_, err = n.fetch(ctx, ref, have) // it was not from these
	}
	return err
}

// watch takes note of damage that shows while a body is given out.
func (n *Node) watch(body io.ReadCloser, ref storage.Ref) io.ReadCloser {
	w := &watched{ReadCloser: body, n: n, ref: ref}
	if to, ok := body.(io.WriterTo); ok {
		return watchedTo{w, to}
	}
	return w
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

// watchedTo is watched for a body that writes by itself.
type watchedTo struct {
	*watched
	to io.WriterTo
}

// WriteTo passes on, and takes note of damage; a failure of dst is none.
func (w watchedTo) WriteTo(dst io.Writer) (int64, error) {
	k, err := w.to.WriteTo(dst)
	w.n.suspect(w.ref, err)
	return k, err
}
