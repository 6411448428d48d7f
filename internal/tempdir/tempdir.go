// Package tempdir makes temporary folders that end with their process: what one that
// was killed has left is removed by the next.
package tempdir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Dir is a temporary folder. Its process holds a lock on it, by which others see that
// somebody uses it.
type Dir struct {
	Path string
	lock *os.File // nil where the system has no such locks
}

// Make makes a folder in parent, or where the system keeps temporary files if that is
// empty. Its name begins with prefix.
func Make(parent, prefix string) (*Dir, error) {
	for {
		path, err := os.MkdirTemp(parent, prefix)
		if err != nil {
			return nil, err
		}
		lock, err := hold(path)
		if err == nil {
			return &Dir{Path: path, lock: lock}, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, errors.Join(err, os.RemoveAll(path))
		}
		// A sweep took it for one that was left, in the moment before it was locked.
	}
}

// Remove removes the folder with all that is in it. It may be called again after a
// failure.
func (d *Dir) Remove() error {
	err := os.RemoveAll(d.Path)
	if err == nil && d.lock != nil {
		err = d.lock.Close()
		d.lock = nil
	}
	return err
}

// Sweep removes the folders in parent, by their prefix, that ended processes have
// left, and gives how many. On Windows, and on file systems without locks, none is known to be left.
func Sweep(parent, prefix string) (removed int, err error) {
	if parent == "" {
		parent = os.TempDir()
	}
	entries, err := os.ReadDir(parent)
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		path := filepath.Join(parent, e.Name())
		lock, free := claim(path)
		if !free {
			continue
		}
		rerr := os.RemoveAll(path)
		if rerr == nil {
			removed++
		}
		err = errors.Join(err, rerr, lock.Close())
	}
	return removed, err
}
