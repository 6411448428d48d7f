package disk

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
)

var errInjected = errors.New("injected failure")

// faultFS is the real file system, with a record of all steps, of which any one
// (or from one on, all) can be made to fail.
type faultFS struct {
	osFS
	mu     sync.Mutex
	steps  []string
	failAt int // -1: none
	lasts  bool
	err    error
	// torn lets a failing write put half of its bytes there first.
	torn bool
	// noPlace is for a file system that cannot place.
	noPlace bool
	// before is called with each step, outside the lock, and may let it fail; it
	// may be nil.
	before func(step string) error
}

// reset begins a new record, in which step failAt fails with err.
func (f *faultFS) reset(failAt int, lasts bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps, f.failAt, f.lasts, f.err = nil, failAt, lasts, err
}

func (f *faultFS) step(op, path string) error {
	name := op + " " + shortName(path)
	if f.before != nil {
		if err := f.before(name); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.steps)
	f.steps = append(f.steps, name)
	if f.failAt >= 0 && (n == f.failAt || f.lasts && n > f.failAt) {
		return fmt.Errorf("%s: %w", name, f.err)
	}
	return nil
}

func (f *faultFS) taken() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.steps...)
}

// shortName makes records readable and the same in every run.
func shortName(path string) string {
	dir, name := filepath.Split(path)
	if filepath.Base(dir) == tmpDir {
		if strings.HasSuffix(name, ".old") {
			return "old"
		}
		return "new"
	}
	return name
}

func (f *faultFS) mkdir(path string) error {
	if err := f.step("mkdir", path); err != nil {
		return err
	}
	return f.osFS.mkdir(path)
}

func (f *faultFS) create(path string) (file, error) {
	if err := f.step("create", path); err != nil {
		return nil, err
	}
	file, err := f.osFS.create(path)
	return &faultFile{file: file, fs: f, path: path}, err
}

func (f *faultFS) rename(from, to string) error {
	if err := f.step("rename", to); err != nil {
		return err
	}
	return f.osFS.rename(from, to)
}

func (f *faultFS) place(from, to string) error {
	if f.noPlace {
		return errors.ErrUnsupported
	}
	if err := f.step("place", to); err != nil {
		return err
	}
	return f.osFS.place(from, to)
}

func (f *faultFS) link(from, to string) error {
	if err := f.step("link", to); err != nil {
		return err
	}
	return f.osFS.link(from, to)
}

func (f *faultFS) remove(path string) error {
	if err := f.step("remove", path); err != nil {
		return err
	}
	return f.osFS.remove(path)
}

func (f *faultFS) syncDir(path string) error {
	if err := f.step("syncDir", path); err != nil {
		return err
	}
	return f.osFS.syncDir(path)
}

type faultFile struct {
	file
	fs   *faultFS
	path string
}

func (f *faultFile) Write(p []byte) (int, error) {
	if err := f.fs.step("write", f.path); err != nil {
		n := 0
		if f.fs.torn {
			n, _ = f.file.Write(p[:len(p)/2])
		}
		return n, err
	}
	return f.file.Write(p)
}

func (f *faultFile) Sync() error {
	if err := f.fs.step("sync", f.path); err != nil {
		return err
	}
	return f.file.Sync()
}

// Close closes in any case: a close that fails has closed.
func (f *faultFile) Close() error {
	return errors.Join(f.fs.step("close", f.path), f.file.Close())
}
