package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// probeSize is what a probe writes: more than a file system keeps beside the name.
const probeSize = 8 << 10

// Check makes the folder where it is missing and tries to write there, durably,
// and to what lies in it under the names of inside: a folder is tried likewise, a
// file is opened for writing, what is missing is passed over. Its error is that of
// [Explain].
func Check(setting, dir string, inside ...string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return Explain(setting, dir, err)
	}
	if err := probe(dir); err != nil {
		return Explain(setting, dir, err)
	}
	for _, name := range inside {
		path := filepath.Join(dir, name)
		if err := checkInside(path); err != nil {
			return Explain(setting, path, err)
		}
	}
	return nil
}

func checkInside(path string) error {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.IsDir() {
		return probe(path)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// probe writes a file, syncs and removes it.
func probe(dir string) (err error) {
	f, err := os.CreateTemp(dir, ".imagemill-probe-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := f.Write(make([]byte, probeSize)); err != nil {
		return err
	}
	return f.Sync()
}

// Explain says why a path cannot be written: which setting names it, the cause
// in plain words and what to do. It wraps err; nil stays nil.
func Explain(setting, path string, err error) error {
	if err == nil {
		return nil
	}
	why := "see that it is there and can be written"
	switch {
	case isReadOnly(err):
		why = "the file system is read-only: mount it writable, or put a writable volume there"
	case errors.Is(err, fs.ErrPermission):
		why = fmt.Sprintf("permission denied for user %s: give it to that user (chown -R), or run as the one who owns it", who())
	case IsFull(err):
		why = "no space left: free some or enlarge the volume, then start again; what is stored is kept"
	case isNotFolder(err):
		why = "it, or something above it, is a file and not a folder: name another path, or move the file away"
	}
	return fmt.Errorf("%s: cannot write %s: %s: %w", setting, path, why, err)
}
