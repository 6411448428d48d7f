//go:build unix

package tempdir

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// open opens a folder itself, and no link to one.
func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
}

// hold locks a folder until the file is closed, as the end of the process does. Nil is
// for a file system without locks; os.ErrNotExist means that the folder is gone.
func hold(path string) (*os.File, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, f.Close()
	}
	if err := same(f, path); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// same has an open folder still be there under its name.
func same(f *os.File, path string) error {
	held, err := f.Stat()
	if err != nil {
		return err
	}
	there, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !os.SameFile(held, there) {
		return os.ErrNotExist
	}
	return nil
}

// claim locks a folder unless somebody holds it.
func claim(path string) (lock *os.File, free bool) {
	f, err := open(path)
	if err != nil {
		return nil, false // another user's, or gone
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil || same(f, path) != nil {
		_ = f.Close()
		return nil, false
	}
	return f, true
}
