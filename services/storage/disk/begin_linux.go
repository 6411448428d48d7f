package disk

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// startWriting has the disk begin to write a piece of a file that more will
// follow, in bytes. It is a hint and waits for nothing: what fails is an error
// of the fsync that ends the file, as sync_file_range(2) takes no note of errors
// unless it waits.
func startWriting(w io.Writer, offset, length int64) {
	f, ok := w.(*os.File)
	if !ok {
		return
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) {
		_ = unix.SyncFileRange(int(fd), offset, length, unix.SYNC_FILE_RANGE_WRITE)
	})
}
