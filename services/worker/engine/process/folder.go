package process

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// A child's folder keeps a few small files, to be written over.
const keptFiles = 8

// tidy removes what has collected in the child's folder, which idles.
func (c *child) tidy() error {
	entries, err := os.ReadDir(c.dir)
	for i, e := range entries {
		if info, ierr := e.Info(); ierr == nil && i < keptFiles && info.Mode().IsRegular() && info.Size() <= copied {
			continue
		}
		err = errors.Join(err, os.RemoveAll(filepath.Join(c.dir, e.Name())))
	}
	return err
}

// weight is how many bytes the files of a folder have.
func weight(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what cannot be seen has no weight
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}
