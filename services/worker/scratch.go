package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
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
	root string
	made int
	free []string
}

// A folder keeps files up to a number and a sum; others are removed. An original
// of a camera and a dozen of its renditions stay within both.
const (
	keptFiles = 16
	keptBytes = 16 << 20 // in sum
)

// take gives a folder of the caller's own. It may hold files of an earlier
// attempt, which mean nothing.
func (s *scratch) take() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		dir := s.free[n-1]
		s.free = s.free[:n-1]
		return dir, nil
	}
	if s.root == "" {
		root, err := os.MkdirTemp(s.base, "imagemill-work-")
		if err != nil {
			return "", fmt.Errorf("make scratch folder: %w", err)
		}
		s.root = root
	}
	dir := filepath.Join(s.root, fmt.Sprint(s.made))
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
	files, bytes := 0, int64(0)
	for _, e := range entries {
		if size, ok := keepable(e); ok && files < keptFiles && bytes+size <= keptBytes {
			files, bytes = files+1, bytes+size
			continue
		}
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	if err != nil {
		return fmt.Errorf("tidy scratch folder: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, dir)
	return nil
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
	if s.root == "" {
		return nil
	}
	err := os.RemoveAll(s.root)
	s.root, s.free, s.made = "", nil, 0
	return err
}
