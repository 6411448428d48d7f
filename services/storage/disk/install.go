package disk

import (
	"context"
	"errors"
	"io/fs"

	"imagemill/services/storage"
)

// install gives a written file its place and makes that durable, or changes
// nothing. What it replaces keeps a second name in tmp until then, so that it
// can be put back.
func (s *Store) install(ref storage.Ref, tmp string, held storage.Held, h storage.Hooks) error {
	defer s.keys.lock(ref)()
	if h.Admit != nil {
		if err := h.Admit(held); err != nil {
			return err
		}
	}
	dir, path := s.path(ref)
	if err := s.folders.ensure(dir); err != nil {
		return failed("make folder of", ref, err)
	}
	old := tmp + ".old"
	kept, err := s.place(ref, tmp, path, old, held, h)
	if errors.Is(err, fs.ErrNotExist) {
		// Somebody removed the folder after it had been seen; once more.
		s.folders.forget(dir)
		if err = s.folders.ensure(dir); err == nil {
			kept, err = s.place(ref, tmp, path, old, held, h)
		}
	}
	if err != nil {
		if kept == nil {
			s.discard(old)
		}
		if errors.Is(err, storage.ErrNotWanted) {
			return err
		}
		return failed("rename", ref, err)
	}
	if err := s.folders.sync(dir); err != nil {
		s.takeBack(path, old, kept)
		return failed("sync folder of", ref, err)
	}
	if h.Done != nil {
		if err := h.Done(held, !errors.Is(kept, fs.ErrNotExist)); err != nil {
			s.takeBack(path, old, kept)
			return failed("write down", ref, err)
		}
	}
	if kept == nil {
		s.discard(old)
	}
	return nil
}

// place gives a file its name. What had the name before keeps old for another:
// kept is nil then, fs.ErrNotExist where nothing had it, or why it has none.
func (s *Store) place(ref storage.Ref, tmp, path, old string, held storage.Held, h storage.Hooks) (kept, err error) {
	err = s.fs.place(tmp, path)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, errors.ErrUnsupported) {
		if h.Replace != nil {
			if err := h.Replace(s.old(ref), held); err != nil {
				return err, err
			}
		}
		kept = s.fs.link(path, old)
		return kept, s.fs.rename(tmp, path)
	}
	return fs.ErrNotExist, err
}

// takeBack undoes a rename whose durability failed: it may be lost in a crash,
// and must not be served meanwhile. Where the old blob could not be kept (a
// file system without links), the new one stays: a whole blob and an error are
// better than none.
func (s *Store) takeBack(path, old string, kept error) {
	var err error
	switch {
	case kept == nil:
		err = s.fs.rename(old, path)
	case errors.Is(kept, fs.ErrNotExist):
		err = s.fs.remove(path)
	}
	if err != nil {
		s.log.Error("a blob whose write failed could not be taken back", "path", path, "error", err)
	}
}

// Delete implements storage.Store. A blob that is already gone is synced as
// well: the Delete that removed it may have failed at just that.
func (s *Store) Delete(ctx context.Context, ref storage.Ref) error {
	return s.Remove(ctx, ref, nil)
}

// Remove is Delete for one who writes down what is held: before, where it is not
// nil, is called while nobody else can change the blob, and what it returns ends
// the call, with nothing removed; storage.ErrNotWanted is then no failure.
func (s *Store) Remove(ctx context.Context, ref storage.Ref, before func(old storage.Old) error) error {
	if err := errors.Join(ref.Validate(), ctx.Err()); err != nil {
		return err
	}
	defer s.keys.lock(ref)()
	if before != nil {
		if err := before(s.old(ref)); err != nil {
			if errors.Is(err, storage.ErrNotWanted) {
				return nil
			}
			return failed("write down the end of", ref, err)
		}
	}
	dir, path := s.path(ref)
	if err := s.fs.remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("remove", ref, err)
	}
	if err := s.folders.sync(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("sync folder of", ref, err)
	}
	return nil
}
