package cloud

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"imagemill/internal/fault"
	"imagemill/services/storage"
	"imagemill/services/storage/footer"
)

// again is how often a blob is opened anew that was replaced meanwhile, or that
// seems damaged: one that was replaced within the same second may seem so.
const again = 3

// Get implements storage.Store. The package comment says what is verified when.
func (s *Store) Get(ctx context.Context, ref storage.Ref, span storage.Span) (storage.Object, error) {
	return s.read(ctx, ref, span, true)
}

// GetUnchecked implements storage.Unchecked.
func (s *Store) GetUnchecked(ctx context.Context, ref storage.Ref) (storage.Object, error) {
	return s.read(ctx, ref, storage.Whole(), false)
}

func (s *Store) read(ctx context.Context, ref storage.Ref, span storage.Span, check bool) (storage.Object, error) {
	if err := errors.Join(ref.Validate(), span.Validate(), ctx.Err()); err != nil {
		return storage.Object{}, err
	}
	for try := 1; ; try++ {
		obj, err := s.readOnce(ctx, ref, span, check)
		if err == nil {
			s.health.reached()
			return obj, nil
		}
		if try < again && (errors.Is(err, errChanged) || errors.Is(err, footer.ErrDamaged)) {
			continue
		}
		return storage.Object{}, s.failed(ctx, "get", ref, err)
	}
}

// readOnce opens a blob. The whole is one call where its digest stands beside it.
func (s *Store) readOnce(ctx context.Context, ref storage.Ref, span storage.Span, check bool) (storage.Object, error) {
	body := &stream{s: s, ctx: ctx, name: s.name(ref), end: -1}
	var obj object
	var err error
	if span.IsWhole() {
		obj, err = body.open()
	} else {
		obj, err = s.stat(ctx, ref)
	}
	if err != nil {
		return storage.Object{}, err
	}
	out, err := s.opened(ctx, ref, span, obj, body, check)
	if err != nil {
		return storage.Object{}, errors.Join(err, body.Close())
	}
	return out, nil
}

// opened makes an answer of what is known of an object; the caller closes body
// where that fails.
func (s *Store) opened(ctx context.Context, ref storage.Ref, span storage.Span, obj object, body *stream, check bool) (storage.Object, error) {
	info, err := s.describe(ctx, ref, obj)
	if err != nil {
		return storage.Object{}, err
	}
	offset, length, err := span.Resolve(info.Size)
	if err != nil {
		return storage.Object{}, err
	}
	body.pin = obj.pin
	out := storage.Object{Info: info, Offset: offset, Length: length, Body: body}
	switch {
	case check && info.Size <= verifyFirst:
		body.end = info.Size
		out.Body, err = verified(body, info, offset, length)
	case check && length == info.Size:
		body.end = info.Size
		out.Body = footer.Checked(body, length, info.SHA256)
	default:
		body.offset, body.end = offset, offset+length
	}
	return out, err
}

// verified reads a small blob in full, and gives of it what was asked for.
func verified(body *stream, info storage.Info, offset, length int64) (io.ReadCloser, error) {
	data := make([]byte, info.Size)
	if _, err := io.ReadFull(body, data); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	if err := footer.Compare(sum[:], info.SHA256); err != nil {
		return nil, err
	}
	if err := body.Close(); err != nil {
		return nil, err
	}
	return memoryBody{bytes.NewReader(data[offset : offset+length])}, nil
}

// Stat implements storage.Store.
func (s *Store) Stat(ctx context.Context, ref storage.Ref) (storage.Info, error) {
	if err := errors.Join(ref.Validate(), ctx.Err()); err != nil {
		return storage.Info{}, err
	}
	for try := 1; ; try++ {
		obj, err := s.stat(ctx, ref)
		var info storage.Info
		if err == nil {
			info, err = s.describe(ctx, ref, obj)
		}
		if err == nil {
			s.health.reached()
			return info, nil
		}
		if try < again && errors.Is(err, errChanged) {
			continue
		}
		return storage.Info{}, s.failed(ctx, "stat", ref, err)
	}
}

func (s *Store) stat(ctx context.Context, ref storage.Ref) (object, error) {
	ctx, cancel := s.call(ctx)
	defer cancel()
	return s.bucket.stat(ctx, s.name(ref))
}

// describe finds the digest of an object: beside it, or at its end.
func (s *Store) describe(ctx context.Context, ref storage.Ref, obj object) (storage.Info, error) {
	info := storage.Info{Key: ref.Key, Size: obj.size, SHA256: obj.digest, Modified: obj.modified}
	if !s.hasFooter(obj.size) {
		if len(obj.digest) != 2*sha256.Size {
			return storage.Info{}, fmt.Errorf("%w: no digest stands beside it", footer.ErrDamaged)
		}
		return info, nil
	}
	end := &stream{s: s, ctx: ctx, name: s.name(ref), pin: obj.pin, offset: max(obj.size-footer.Size, 0), end: obj.size}
	tail, err := io.ReadAll(end)
	if err = errors.Join(err, end.Close()); err != nil {
		return storage.Info{}, err
	}
	info.Size, info.SHA256, err = footer.Decode(ref, tail, obj.size)
	return info, err
}

// Delete implements storage.Store.
func (s *Store) Delete(ctx context.Context, ref storage.Ref) error {
	if err := errors.Join(ref.Validate(), ctx.Err()); err != nil {
		return err
	}
	cctx, cancel := s.call(ctx)
	defer cancel()
	err := s.bucket.remove(cctx, s.name(ref))
	if err != nil {
		if err = s.failed(ctx, "delete", ref, err); !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	s.health.reached()
	return nil
}
