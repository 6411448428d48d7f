package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"imagemill/services/storage"
	"imagemill/services/storage/footer"
)

// List implements storage.Store. It reads the folders from the one of the
// cursor on, until the page is full, and no file: digests are left empty. A
// blob that goes away meanwhile is left out.
func (s *Store) List(ctx context.Context, state storage.State, after string, limit int) (storage.Page, error) {
	limit, err := storage.CheckList(state, after, limit)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return storage.Page{}, err
	}
	keys, err := s.keysAfter(ctx, state, after, limit+1)
	if err != nil {
		return storage.Page{}, fmt.Errorf("list blobs %s: %w", state, err)
	}
	page := storage.Page{Blobs: make([]storage.Info, 0, min(len(keys), limit)), Now: time.Now().UTC()}
	if len(keys) > limit {
		keys = keys[:limit]
		page.Next = keys[limit-1]
	}
	for _, key := range keys {
		_, path := s.path(storage.Ref{State: state, Key: key})
		st, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return storage.Page{}, fmt.Errorf("list blobs %s: %w", state, err)
		}
		size := max(st.Size()-footer.Size, 0)
		page.Blobs = append(page.Blobs, storage.Info{Key: key, Size: size, Modified: st.ModTime().UTC()})
	}
	return page, nil
}

// keysAfter gives the lowest keys above after, in order, at most most.
func (s *Store) keysAfter(ctx context.Context, state storage.State, after string, most int) ([]string, error) {
	prefixes, err := s.prefixes(state)
	if err != nil {
		return nil, err
	}
	from, _ := slices.BinarySearch(prefixes, prefixOf(after))
	var keys []string
	for _, prefix := range prefixes[from:] {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found, err := lowestKeys(s.folder(state, prefix), state, prefix, after, most-len(keys))
		if err != nil {
			return nil, err
		}
		if keys = append(keys, found...); len(keys) >= most {
			break
		}
	}
	return keys, nil
}

// prefixes gives the prefixes that have a folder, in order.
func (s *Store) prefixes(state storage.State) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(s.cfg.Dir, string(state)))
	if err != nil {
		return nil, err
	}
	prefixes := make([]string, 0, len(entries))
	for _, e := range entries {
		if e.IsDir() {
			prefixes = append(prefixes, strings.ReplaceAll(e.Name(), "+", "."))
		}
	}
	slices.Sort(prefixes)
	return prefixes, nil
}

// lowestKeys gives the lowest keys of one folder above after, in order, at most
// most. It reads the folder in pieces and never holds many more than most, as a
// folder may hold hundreds of thousands. Names that are no keys, or belong to
// another folder, are not ours.
func lowestKeys(dir string, state storage.State, prefix, after string, most int) ([]string, error) {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close() //nolint:errcheck // only read
	var keys []string
	bound := ""
	for {
		names, err := d.Readdirnames(1024)
		for _, name := range names {
			if name > after && (bound == "" || name < bound) && prefixOf(name) == prefix &&
				(storage.Ref{State: state, Key: name}).Validate() == nil {
				keys = append(keys, name)
			}
		}
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return nil, err
		}
		if end || len(keys) > 4*most {
			slices.Sort(keys)
			if len(keys) > most {
				keys = keys[:most]
				bound = keys[most-1]
			}
		}
		if end {
			return keys, nil
		}
	}
}

// Walk implements storage.Keeper. It holds few names at a time.
func (s *Store) Walk(ctx context.Context, state storage.State, each func(key string) error) error {
	prefixes, err := s.prefixes(state)
	if err != nil {
		return fmt.Errorf("walk blobs %s: %w", state, err)
	}
	for _, prefix := range prefixes {
		err := eachKey(s.folder(state, prefix), state, prefix, func(key string) error {
			return errors.Join(ctx.Err(), each(key))
		})
		if err != nil {
			return fmt.Errorf("walk blobs %s: %w", state, err)
		}
	}
	return nil
}

// eachKey calls each with the keys of one folder.
func eachKey(dir string, state storage.State, prefix string, each func(key string) error) error {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // only read
	for {
		names, err := d.Readdirnames(1024)
		for _, name := range names {
			if prefixOf(name) != prefix || (storage.Ref{State: state, Key: name}).Validate() != nil {
				continue
			}
			if err := each(name); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
