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
	f, info, err := s.open(ctx, ref)
	if err != nil {
		return storage.Object{}, err
	}
	var body io.ReadCloser = &plainBody{f: f, rest: io.LimitedReader{R: f, N: info.Size}}
	if info.Size <= bufSize {
		if body, err = s.bufferedBody(f, info, 0, info.Size); err != nil {
			return storage.Object{}, errors.Join(failed("read", ref, err), f.Close())
		}
	}
	return storage.Object{Info: info, Length: info.Size, Body: body}, nil
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
	if err := errors.Join(ref.Validate(), ctx.Err()); err != nil {
		return nil, storage.Info{}, err
	}
	_, path := s.path(ref)
	f, err := s.fs.open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, storage.Info{}, storage.NotFound(ref)
	}
	if err != nil {
		return nil, storage.Info{}, failed("open", ref, err)
	}
	info, err := describe(f, ref)
	if err != nil {
		return nil, storage.Info{}, errors.Join(failed("open", ref, err), f.Close())
	}
	return f, info, nil
}

// describe reads the footer of an open blob.
func describe(f file, ref storage.Ref) (storage.Info, error) {
	st, err := f.Stat()
	if err != nil {
		return storage.Info{}, err
	}
	var b [footer.Size]byte
	n, err := f.ReadAt(b[:], max(st.Size()-footer.Size, 0))
	if err != nil && !errors.Is(err, io.EOF) {
		return storage.Info{}, err
	}
	size, digest, err := footer.Decode(ref, b[:n], st.Size())
	return storage.Info{Key: ref.Key, Size: size, SHA256: digest, Modified: st.ModTime().UTC()}, err
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
		return &checkedBody{f: f, hash: sha256.New(), left: length, digest: info.SHA256}, nil
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
