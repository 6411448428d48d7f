package disk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"imagemill/services/storage"
	"imagemill/services/storage/footer"
)

// Get implements storage.Store. The package comment says what is verified when.
func (s *Store) Get(ctx context.Context, ref storage.Ref, span storage.Span) (storage.Object, error) {
	f, info, err := s.open(ctx, ref)
	if err != nil {
		return storage.Object{}, err
	}
	offset, length, err := span.Resolve(info.Size)
	if err != nil {
		return storage.Object{}, errors.Join(err, f.Close())
	}
	body, err := s.body(f, info, offset, length)
	if err != nil {
		return storage.Object{}, errors.Join(failed("read", ref, err), f.Close())
	}
	return storage.Object{Info: info, Offset: offset, Length: length, Body: body}, nil
}

// GetUnchecked implements storage.Unchecked: the kernel can send a large blob
// without this process having seen it. The digest of a small one costs little,
// and damage is then found at once.
func (s *Store) GetUnchecked(ctx context.Context, ref storage.Ref) (storage.Object, error) {
	obj, _, err := s.GetStamped(ctx, ref)
	return obj, err
}

// GetStamped is GetUnchecked, with the blob's stamp.
func (s *Store) GetStamped(ctx context.Context, ref storage.Ref) (storage.Object, int64, error) {
	f, held, err := s.openHeld(ctx, ref)
	if err != nil {
		return storage.Object{}, 0, err
	}
	info := held.Info
	var body io.ReadCloser = &plainBody{f: f, rest: io.LimitedReader{R: f, N: info.Size}}
	if info.Size <= bufSize {
		if body, err = s.bufferedBody(f, info, 0, info.Size); err != nil {
			return storage.Object{}, 0, errors.Join(failed("read", ref, err), f.Close())
		}
	}
	return storage.Object{Info: info, Length: info.Size, Body: body}, held.Stamp, nil
}

// Stat implements storage.Store. It checks the footer, not the bytes.
func (s *Store) Stat(ctx context.Context, ref storage.Ref) (storage.Info, error) {
	f, info, err := s.open(ctx, ref)
	if err != nil {
		return storage.Info{}, err
	}
	return info, f.Close()
}

// open opens a blob's file and checks its footer.
func (s *Store) open(ctx context.Context, ref storage.Ref) (file, storage.Info, error) {
	f, held, err := s.openHeld(ctx, ref)
	return f, held.Info, err
}

func (s *Store) openHeld(ctx context.Context, ref storage.Ref) (file, storage.Held, error) {
	if err := errors.Join(ref.Validate(), ctx.Err()); err != nil {
		return nil, storage.Held{}, err
	}
	_, path := s.path(ref)
	f, err := s.fs.open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, storage.Held{}, storage.NotFound(ref)
	}
	if err != nil {
		return nil, storage.Held{}, failed("open", ref, err)
	}
	held, err := describe(f, ref)
	if err != nil {
		return nil, storage.Held{}, errors.Join(failed("open", ref, err), f.Close())
	}
	return f, held, nil
}

// describe reads the footer of an open blob.
func describe(f file, ref storage.Ref) (storage.Held, error) {
	st, err := f.Stat()
	if err != nil {
		return storage.Held{}, err
	}
	var b [footer.Size]byte
	n, err := f.ReadAt(b[:], max(st.Size()-footer.Size, 0))
	if err != nil && !errors.Is(err, io.EOF) {
		return storage.Held{}, err
	}
	size, digest, err := footer.Decode(ref, b[:n], st.Size())
	held := storage.Held{Info: storage.Info{Key: ref.Key, Size: size, SHA256: digest, Modified: st.ModTime().UTC()}}
	if err == nil {
		if held.Stamp = footer.Stamp(b[:]); held.Stamp == 0 {
			held.Stamp = st.ModTime().UnixNano()
		}
	}
	return held, err
}

// body chooses how the bytes are given out; it owns f if it gives no error.
func (s *Store) body(f file, info storage.Info, offset, length int64) (io.ReadCloser, error) {
	switch {
	case info.Size <= bufSize:
		return s.bufferedBody(f, info, offset, length)
	case info.Size <= verifyFirst:
		if err := s.verify(f, info); err != nil {
			return nil, err
		}
	case length == info.Size:
		return footer.Checked(closedOnce{f}, length, info.SHA256), nil
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil, err
	}
	return &plainBody{f: f, rest: io.LimitedReader{R: f, N: length}}, nil
}

// bufferedBody reads and verifies a small blob at once, and closes its file.
func (s *Store) bufferedBody(f file, info storage.Info, offset, length int64) (io.ReadCloser, error) {
	buf := s.bufs.Get().(*[bufSize]byte)
	data := buf[:info.Size]
	_, err := io.ReadFull(io.NewSectionReader(f, 0, info.Size), data)
	if err == nil {
		sum := sha256.Sum256(data)
		err = footer.Compare(sum[:], info.SHA256)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		s.bufs.Put(buf)
		return nil, err
	}
	return &memoryBody{rest: bytes.NewReader(data[offset : offset+length]), free: func() { s.bufs.Put(buf) }}, nil
}

// verify reads the whole blob and compares its digest. It leaves the position
// of f alone.
func (s *Store) verify(f file, info storage.Info) error {
	buf := s.bufs.Get().(*[bufSize]byte)
	defer s.bufs.Put(buf)
	hash := sha256.New()
	n, err := io.CopyBuffer(hash, struct{ io.Reader }{io.NewSectionReader(f, 0, info.Size)}, buf[:])
	if err != nil {
		return err
	}
	if n != info.Size {
		return fmt.Errorf("%w: it became shorter while it was read", footer.ErrDamaged)
	}
	return footer.Compare(hash.Sum(nil), info.SHA256)
}
