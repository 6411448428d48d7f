package cloud

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"

	"imagemill/services/storage"
)

// openMemory is a bucket in memory, for tests.
func openMemory() bucket { return &portable{b: memblob.OpenBucket(nil), keyTokens: true} }

// folder is a bucket that is a folder, such as a network file system's.
type folder struct {
	*portable
	dir string
}

func openFolder(place storage.Location) (bucket, error) {
	dir := filepath.FromSlash(place.Bucket)
	if os.PathSeparator != '/' {
		dir = strings.TrimPrefix(dir, string(os.PathSeparator))
	}
	above := leadingTo(dir)
	b, err := fileblob.OpenBucket(dir, &fileblob.Options{
		CreateDir: true, DirFileMode: 0o750, NoTempDir: true, Metadata: fileblob.MetadataDontWrite,
	})
	if err != nil {
		return nil, err
	}
	for _, p := range above {
		if err := syncFolder(p); err != nil && !cannotSync(err) {
			return nil, errors.Join(err, b.Close())
		}
	}
	f := &folder{portable: &portable{b: b, keyTokens: true}, dir: dir}
	f.writing = f.durably
	return f, nil
}

// leadingTo gives the folders that hold the names of dir, and of those above it as
// far as they are missing. The lowest that is there may be the work of a process
// that was killed before it was durable.
func leadingTo(dir string) []string {
	for all := []string{}; ; dir = filepath.Dir(dir) {
		all = append(all, filepath.Dir(dir))
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return all
		}
	}
}

// cannotSync reports that a folder is none of ours to sync, or of a kind that has
// no sync, rather than that its sync failed.
func cannotSync(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL)
}

// remove syncs the folder of what is gone, also where it was gone before: the call
// that removed it may have failed at just that.
func (f *folder) remove(ctx context.Context, name string) error {
	err := f.portable.remove(ctx, name)
	if err != nil && !errors.Is(err, errNotThere) {
		return err
	}
	if serr := syncFolder(f.folderOf(name)); serr != nil && !errors.Is(serr, fs.ErrNotExist) {
		return serr
	}
	return err
}

func (f *folder) folderOf(name string) string {
	return filepath.Dir(filepath.Join(f.dir, filepath.FromSlash(name)))
}

// durably syncs a file before it gets its name, and the name after.
func (f *folder) durably(name string) (before func(func(any) bool) error, flush, after func() error) {
	var file *os.File
	before = func(as func(any) bool) error {
		if !as(&file) {
			return errors.New("the driver shows no file")
		}
		return nil
	}
	flush = func() error { return file.Sync() }
	after = func() error {
		return errors.Join(syncFolder(f.folderOf(name)), syncFolder(f.dir))
	}
	return before, flush, after
}

// syncFolder does nothing on Windows, which has no such thing.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// list reads the whole folder each time; files that go away meanwhile are left
// out, which the driver's own takes for a failure. A folder that is not mounted is
// not an empty one.
func (f *folder) list(ctx context.Context, prefix, after string, n int) ([]object, time.Time, error) {
	if _, err := os.Stat(f.dir); err != nil {
		return nil, time.Time{}, fmt.Errorf("%w: %w", errNotThere, err)
	}
	entries, err := os.ReadDir(filepath.Join(f.dir, filepath.FromSlash(prefix)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, time.Time{}, err
	}
	from, _ := slices.BinarySearchFunc(entries, after, func(e fs.DirEntry, after string) int { return strings.Compare(prefix+e.Name(), after) })
	var found []object
	for _, e := range entries[from:] {
		if len(found) == n || ctx.Err() != nil {
			break
		}
		info, err := e.Info()
		if prefix+e.Name() == after || errors.Is(err, fs.ErrNotExist) || e.IsDir() {
			continue
		}
		if err != nil {
			return nil, time.Time{}, err
		}
		found = append(found, object{name: prefix + e.Name(), size: info.Size(), modified: info.ModTime().UTC()})
	}
	return found, time.Now().UTC(), ctx.Err()
}

// tidy removes temporary files.
func (f *folder) tidy(ctx context.Context, _ string, then time.Time) (int, error) {
	n := 0
	for _, state := range []storage.State{storage.InProgress, storage.Finished} {
		dir := filepath.Join(f.dir, string(state))
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return n, err
		}
		for _, e := range entries {
			if !strings.Contains(e.Name(), "+.") || !strings.HasSuffix(e.Name(), ".tmp") {
				continue
			}
			if info, err := e.Info(); err != nil || info.ModTime().After(then) {
				continue // it is gone, or young
			}
			if err := errors.Join(ctx.Err(), os.Remove(filepath.Join(dir, e.Name()))); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}
