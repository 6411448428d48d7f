package disk

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// place is one system call, where looking for what a rename would replace is
// another.
func place(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EINVAL):
		err = errors.ErrUnsupported // so says a file system that does not know the flag
	}
	return fmt.Errorf("rename %s to %s: %w", from, to, err)
}
