//go:build unix

package engine

import (
	"errors"
	"os"
	"syscall"
)

// OpenPlain opens a file as os.OpenFile does, but for one that is known to be a
// plain one on a disk: os.OpenFile tries to wait for it as for a connection, which
// costs five system calls more. A tiny picture is hardly more than its files.
func OpenPlain(path string, flag int, perm uint32) (*os.File, error) {
	for {
		fd, err := syscall.Open(path, flag|syscall.O_CLOEXEC, perm)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), path), nil
		case !errors.Is(err, syscall.EINTR):
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}
}
