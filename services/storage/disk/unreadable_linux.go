package disk

import (
	"errors"

	"golang.org/x/sys/unix"
)

// unreadable tells whether an error says that the disk, or its file system, has
// lost what it should give: a sector that cannot be read, a checksum that is wrong.
func unreadable(err error) bool {
	return errors.Is(err, unix.EIO) || errors.Is(err, unix.EUCLEAN) || errors.Is(err, unix.EBADMSG)
}
