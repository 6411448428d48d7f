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
func (s *Store) install(ref storage.Ref, tmp string) error {
	defer s.keys.lock(ref)()
	dir, path := s.path(ref)
	if err := s.folders.ensure(dir); err != nil {
		return failed("make folder of", ref, err)
	}
	old := tmp + ".old"
	kept, err := s.place(tmp, path, old)
	if errors.Is(err, fs.ErrNotExist) {
		// Somebody removed the folder after it had been seen; once more.
		s.folders.forget(dir)
		if err = s.folders.ensure(dir); err == nil {
			kept, err = s.place(tmp, path, old)
		}
	}
	if err != nil {
		if kept == nil {
			s.discard(old)
		}
		return failed("rename", ref, err)
	}
	if err := s.folders.sync(dir); err != nil {
		s.takeBack(path, old, kept)
		return failed("sync folder of", ref, err)
	}
	if kept == nil {
		s.discard(old)
	}
	return nil
}

// place gives a file its name. What had the name before keeps old for another:
// kept is nil then, fs.ErrNotExist where nothing had it, or why it has none.
func (s *Store) place(tmp, path, old string) (kept, err error) {
	err = s.fs.place(tmp, path)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, errors.ErrUnsupported) {
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
	if err := errors.Join(ref.Validate(), ctx.Err()); err != nil {
		return err
	}
	defer s.keys.lock(ref)()
	dir, path := s.path(ref)
	if err := s.fs.remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("remove", ref, err)
	}
	if err := s.folders.sync(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("sync folder of", ref, err)
	}
	return nil
}
