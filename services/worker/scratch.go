package worker

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"imagemill/internal/tempdir"
)

// scratch keeps the folders that attempts work in, and their files, from one
// attempt to the next, to be written over (engine.ScratchFile). ext4 does not
// hand out an inode again for some seconds after it was freed and searches past
// all such ones, so that a worker which makes and removes files for every tiny
// picture slows down every creation of a file on that disk, those of storage
// among them.
type scratch struct {
	base string

	mu   sync.Mutex
	root *tempdir.Dir
	made int
	free []idle
	kept int64 // bytes in larger files of all of free
}

// idle is a folder that nobody works in, and what its larger files hold.
type idle struct {
	dir   string
	bytes int64
}

// A folder keeps files up to a number and a sum, and all folders together up to
// another sum, for which small files do not count; others are removed. An original of
// a camera and a dozen of its renditions stay within a folder's. Where scratch is in
// memory, they take of that.
const (
	keptFiles  = 16
	keptAnyway = 64 << 10 // of one file
	keptBytes  = 16 << 20
	keptInAll  = 32 << 20
)

// scratchPrefix begins the name of the folder that the attempts' own are in.
const scratchPrefix = "imagemill-work-"

// sweep removes what workers have left that were killed.
func (s *scratch) sweep(log *slog.Logger) {
	n, err := tempdir.Sweep(s.base, scratchPrefix)
	if n > 0 || err != nil {
		log.Info("folders of workers that were killed are removed", "folders", n, "error", err)
	}
}

// take gives a folder of the caller's own. It may hold files of an earlier
// attempt, which mean nothing.
func (s *scratch) take() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		f := s.free[n-1]
		s.free = s.free[:n-1]
		s.kept -= f.bytes
		return f.dir, nil
	}
	if s.root == nil {
		root, err := tempdir.Make(s.base, scratchPrefix)
		if err != nil {
			return "", fmt.Errorf("make scratch folder: %w", err)
		}
		s.root = root
	}
	dir := filepath.Join(s.root.Path, fmt.Sprint(s.made))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("make scratch folder: %w", err)
	}
	s.made++
	return dir, nil
}

// give takes a folder back. One that cannot be tidied is not used again.
func (s *scratch) give(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("tidy scratch folder: %w", err)
	}
	remove, bytes := s.choose(entries)
	for _, name := range remove {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, name)))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.kept -= bytes
		return fmt.Errorf("tidy scratch folder: %w", err)
	}
	s.free = append(s.free, idle{dir, bytes})
	return nil
}

// choose says which files of a folder have to go, and how many bytes of the rest
// it has counted as kept.
func (s *scratch) choose(entries []os.DirEntry) (remove []string, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	files, room := 0, min(keptBytes, keptInAll-s.kept)
	for _, e := range entries {
		size, ok := keepable(e)
		small := size <= keptAnyway
		if !ok || files == keptFiles || (!small && bytes+size > room) {
			remove = append(remove, e.Name())
			continue
		}
		files++
		if !small {
			bytes += size
		}
	}
	s.kept += bytes
	return remove, bytes
}

// keepable gives the size of a file that may be kept. A link may not.
func keepable(e os.DirEntry) (size int64, ok bool) {
	info, err := e.Info()
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return info.Size(), true
}

// close removes all folders; no attempt may be under way.
func (s *scratch) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.root == nil {
		return nil
	}
	err := s.root.Remove()
	s.root, s.free, s.made, s.kept = nil, nil, 0, 0
	return err
}
