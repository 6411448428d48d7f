package disk

import (
	"errors"

	"golang.org/x/sys/windows"
)

// unreadable tells whether an error says that the disk, or its file system, has
// lost what it should give.
func unreadable(err error) bool {
	return errors.Is(err, windows.ERROR_CRC) || errors.Is(err, windows.ERROR_IO_DEVICE) ||
		errors.Is(err, windows.ERROR_FILE_CORRUPT) || errors.Is(err, windows.ERROR_DISK_CORRUPT)
}
