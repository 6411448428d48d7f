//go:build !windows

package volume

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// IsFull reports whether the disk, or the owner's share of it, has no room.
func IsFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

func isReadOnly(err error) bool { return errors.Is(err, unix.EROFS) }

func isNotFolder(err error) bool {
	return errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EEXIST)
}

// who is the user that this process acts as: a container has numbers, no names.
func who() string { return strconv.Itoa(os.Geteuid()) }

// FreeBytes gives what an ordinary user may still write.
func FreeBytes(path string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return int64(uint64(st.Bavail) * uint64(st.Bsize)), nil //nolint:gosec,unconvert // types differ by system
}

// FreeBytesAt is FreeBytes for a folder that is open.
func FreeBytesAt(dir *os.File) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir.Name(), Err: err}
	}
	return int64(uint64(st.Bavail) * uint64(st.Bsize)), nil //nolint:gosec,unconvert // types differ by system
}
