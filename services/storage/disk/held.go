package disk

import (
	"context"
	"errors"
	"fmt"
	"io"

	"imagemill/internal/digest"
	"imagemill/services/storage"
	"imagemill/services/storage/footer"
)

// Held describes a blob as Stat does, with its stamp. fault.NotFound where there
// is none, footer.ErrDamaged where its footer is wrong.
func (s *Store) Held(ctx context.Context, ref storage.Ref) (storage.Held, error) {
	f, held, err := s.openHeld(ctx, ref)
	if err != nil {
		return storage.Held{}, err
	}
	return held, f.Close()
}

// old is what a change of a blob meets, whose lock is held.
func (s *Store) old(ref storage.Ref) storage.Old {
	held, err := s.Held(context.Background(), ref)
	return storage.Old{Held: held, Err: err}
}

// Verify reads all of a blob and compares it with its digest, whatever its size:
// footer.ErrDamaged where they differ. wait, if not nil, is called before each
// piece of n bytes is read.
func (s *Store) Verify(ctx context.Context, ref storage.Ref, wait func(ctx context.Context, n int) error) error {
	f, info, err := s.open(ctx, ref)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	buf := s.bufs.Get().(*[bufSize]byte)
	defer s.bufs.Put(buf)
	hash := digest.New()
	defer hash.Close()
	for left := info.Size; left > 0; {
		piece := buf[:min(left, bufSize)]
		if wait != nil {
			if err := wait(ctx, len(piece)); err != nil {
				return err
			}
		}
		if _, err := io.ReadFull(f, piece); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = fmt.Errorf("%w: it became shorter while it was read", footer.ErrDamaged)
			}
			return failed("read", ref, err)
		}
		_, _ = hash.Write(piece)
		left -= int64(len(piece))
	}
	if err := footer.Compare(hash.Sum(), info.SHA256); err != nil {
		return failed("read", ref, err)
	}
	return nil
}

// Dir is the data folder, as an absolute path.
func (s *Store) Dir() string { return s.cfg.Dir }

// Damaged implements storage.Keeper: what cannot be read for the disk's sake is as
// good as wrong bytes.
func (s *Store) Damaged(err error) bool { return errors.Is(err, footer.ErrDamaged) || unreadable(err) }

var _ storage.Keeper = (*Store)(nil)
