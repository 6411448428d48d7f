package disk

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"imagemill/internal/digest"
	"imagemill/internal/fault"
	"imagemill/services/storage"
	"imagemill/services/storage/footer"
)

// Put implements storage.Store. A blob becomes visible to readers when it is
// renamed, a moment before Put returns.
func (s *Store) Put(ctx context.Context, ref storage.Ref, r io.Reader, opt storage.PutOptions) (storage.Info, error) {
	return s.Keep(ctx, ref, r, opt, storage.Hooks{})
}

// Keep is Put for one who writes down what is held.
func (s *Store) Keep(ctx context.Context, ref storage.Ref, r io.Reader, opt storage.PutOptions, h storage.Hooks) (storage.Info, error) {
	info, err := s.put(ctx, ref, r, opt, h)
	switch {
	case err == nil:
		s.space.Written()
	case fault.Is(err, fault.StorageFull):
		s.space.Refused(err)
	}
	return info, err
}

func (s *Store) put(ctx context.Context, ref storage.Ref, r io.Reader, opt storage.PutOptions, h storage.Hooks) (storage.Info, error) {
	if err := errors.Join(ref.Validate(), opt.Validate(), ctx.Err()); err != nil {
		return storage.Info{}, err
	}
	if err := s.room(max(opt.Size, 0)); err != nil {
		return storage.Info{}, err
	}
	tmp := s.temp()
	held, err := s.fill(ctx, tmp, ref, r, opt, h)
	info := held.Info
	if err == nil {
		// The last moment at which a caller that went away changes nothing.
		err = ctx.Err()
	}
	if err == nil {
		err = s.install(ref, tmp, held, h)
	}
	if errors.Is(err, storage.ErrNotWanted) {
		s.discard(tmp)
		return info, err
	}
	if err != nil {
		s.discard(tmp)
		return storage.Info{}, err
	}
	return info, nil
}

// room refuses what would leave less than MinFree bytes on the disk. A disk
// that does not say how much is free is taken at its word when it is full.
func (s *Store) room(size int64) error {
	if s.cfg.MinFree == 0 {
		return nil
	}
	free, err := s.free(s.cfg.Dir)
	if err != nil {
		s.log.Warn("free disk space is unknown", "error", err)
		return nil
	}
	if free-size < s.cfg.MinFree {
		return fault.Wrap(fault.StorageFull, "there is no room left to store this",
			fmt.Errorf("%d bytes free, %d needed, %d to be kept free", free, size, s.cfg.MinFree))
	}
	return nil
}

// fill writes bytes and footer to a new file and makes its content durable.
func (s *Store) fill(ctx context.Context, path string, ref storage.Ref, r io.Reader, opt storage.PutOptions, h storage.Hooks) (storage.Held, error) {
	f, err := s.fs.create(path)
	if err != nil {
		return storage.Held{}, failed("create", ref, err)
	}
	info, err := s.copy(ctx, f, ref, r, opt, h)
	if err == nil {
		if err = f.Sync(); err != nil {
			err = failed("sync", ref, err)
		}
	}
	if err == nil {
		info.Modified, err = modified(f)
	}
	if cerr := f.Close(); err == nil && cerr != nil {
		err = failed("close", ref, cerr)
	}
	return info, err
}

func modified(f file) (time.Time, error) {
	st, err := f.Stat()
	if err != nil {
		return time.Time{}, err
	}
	return st.ModTime().UTC(), nil
}

// beginEvery is how many bytes the disk is made to begin with at a time: each
// time costs a call of the disk.
const beginEvery = 512 << 10

// copy writes r and the footer to f in large pieces. The footer goes out with
// the last piece where it fits, so that a small blob is one write.
func (s *Store) copy(ctx context.Context, f io.Writer, ref storage.Ref, r io.Reader, opt storage.PutOptions, h storage.Hooks) (storage.Held, error) {
	buf := s.bufs.Get().(*[bufSize]byte)
	defer s.bufs.Put(buf)
	hash, size, begun := digest.New(), int64(0), int64(0)
	defer hash.Close()
	var sum []byte
	var stamp int64
	for end := false; !end; {
		n, err := fillBuffer(ctx, r, buf[:bufSize-footer.Size])
		if end = errors.Is(err, errEnd); err != nil && !end {
			return storage.Held{}, fmt.Errorf("read blob %s/%s: %w", ref.State, ref.Key, err)
		}
		size += int64(n)
		if err := opt.CheckLonger(size); err != nil {
			return storage.Held{}, err
		}
		piece := buf[:n]
		_, _ = hash.Write(piece)
		if end {
			sum, stamp = hash.Sum(), h.StampNow()
			piece = append(piece, footer.EncodeStamped(ref, size, sum, stamp)...)
		}
		if _, err := f.Write(piece); err != nil {
			return storage.Held{}, failed("write", ref, err)
		}
		if size-begun >= beginEvery && !end {
			startWriting(f, begun, size-begun)
			begun = size
		}
	}
	held := storage.Held{Info: storage.Info{Key: ref.Key, Size: size, SHA256: hex.EncodeToString(sum)}, Stamp: stamp}
	return held, opt.Check(size, held.SHA256)
}

// errEnd is the clean end of a reader. io.ReadFull would not do: it cannot tell
// that from a connection that broke, which is io.ErrUnexpectedEOF too.
var errEnd = errors.New("end of blob")

// fillBuffer reads until p is full or r has ended (errEnd) or failed.
func fillBuffer(ctx context.Context, r io.Reader, p []byte) (n int, err error) {
	for idle := 0; n < len(p); {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		m, err := r.Read(p[n:])
		n += m
		switch {
		case err == io.EOF:
			return n, errEnd
		case err != nil:
			return n, err
		case m > 0:
			idle = 0
		default:
			if idle++; idle == 100 {
				return n, io.ErrNoProgress
			}
		}
	}
	return n, nil
}

// discard removes what is of no use any more. What cannot be removed is found
// by the next Open.
func (s *Store) discard(tmp string) {
	if err := s.fs.remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("temporary file stays until the next start", "path", tmp, "error", err)
	}
}
