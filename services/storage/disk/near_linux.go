package disk

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"imagemill/internal/volume"
)

// nearFS does what osFS does from the data folder, which stays open: the kernel
// looks for a name there and not from the root of the file system on. In a container
// the root may be a file system that another process answers for, which is asked
// for each look through it, some ten times for a picture.
type nearFS struct {
	dir string
	at  *os.File
}

// near gives the file system of a data folder that exists, and how much of it is
// free.
func near(dir string) (fileSystem, func(string) (int64, error), error) {
	at, err := os.OpenFile(dir, unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, nil, err
	}
	n := nearFS{dir: dir, at: at}
	return n, n.free, nil
}

// from gives a path as one from the data folder. One beside it stays as it is.
func (n nearFS) from(path string) (at int, name string) {
	if path == n.dir {
		return int(n.at.Fd()), "."
	}
	if name, ok := strings.CutPrefix(path, n.dir+"/"); ok {
		return int(n.at.Fd()), name
	}
	return unix.AT_FDCWD, path
}

// again repeats a call that a signal has interrupted.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (n nearFS) openFile(path string, flags int, mode uint32) (*os.File, error) {
	at, name := n.from(path)
	fd := -1
	err := again(func() (err error) {
		fd, err = unix.Openat(at, name, flags|unix.O_CLOEXEC, mode)
		return err
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

func (n nearFS) create(path string) (file, error) {
	f, err := n.openFile(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o640)
	if err != nil {
		return nil, err // not f, which would be a file that is nil
	}
	return f, nil
}

func (n nearFS) open(path string) (file, error) {
	f, err := n.openFile(path, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (n nearFS) syncDir(path string) error {
	d, err := n.openFile(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (n nearFS) mkdir(path string) error {
	at, name := n.from(path)
	err := again(func() error { return unix.Mkdirat(at, name, 0o750) })
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return &os.PathError{Op: "mkdir", Path: path, Err: err}
	}
	return nil
}

func (n nearFS) rename(from, to string) error {
	return n.two("rename", from, to, unix.Renameat)
}

func (n nearFS) link(from, to string) error {
	return n.two("link", from, to, func(a int, from string, b int, to string) error { return unix.Linkat(a, from, b, to, 0) })
}

func (n nearFS) place(from, to string) error {
	err := n.two("rename", from, to, func(a int, from string, b int, to string) error {
		return unix.Renameat2(a, from, b, to, unix.RENAME_NOREPLACE)
	})
	if errors.Is(err, unix.EINVAL) { // so says a file system that does not know the flag
		return fmt.Errorf("rename %s to %s: %w", from, to, errors.ErrUnsupported)
	}
	return err
}

// two makes a call with two paths.
func (n nearFS) two(op, from, to string, call func(a int, from string, b int, to string) error) error {
	a, old := n.from(from)
	b, name := n.from(to)
	if err := again(func() error { return call(a, old, b, name) }); err != nil {
		return &os.LinkError{Op: op, Old: from, New: to, Err: err}
	}
	return nil
}

// remove removes a file or an empty folder, as os.Remove does.
func (n nearFS) remove(path string) error {
	at, name := n.from(path)
	err := again(func() error { return unix.Unlinkat(at, name, 0) })
	if err == nil {
		return nil
	}
	rerr := again(func() error { return unix.Unlinkat(at, name, unix.AT_REMOVEDIR) })
	if rerr == nil {
		return nil
	}
	if !errors.Is(rerr, unix.ENOTDIR) {
		err = rerr
	}
	return &os.PathError{Op: "remove", Path: path, Err: err}
}

func (n nearFS) free(string) (int64, error) { return volume.FreeBytesAt(n.at) }
