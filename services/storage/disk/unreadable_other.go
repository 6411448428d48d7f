//go:build !linux && !windows

package disk

import (
	"errors"
	"syscall"
)

// unreadable tells whether an error says that the disk has lost what it should give.
func unreadable(err error) bool { return errors.Is(err, syscall.EIO) }
