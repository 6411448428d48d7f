package disk

import (
	"io"
	"os"
)

// fileSystem is every change that this package makes to the disk, so that a
// test can record them, or let any one of them fail. Listing reads directly.
type fileSystem interface {
	// mkdir makes one folder; one that exists is no error.
	mkdir(path string) error
	// create opens a new file for writing; one that exists is an error.
	create(path string) (file, error)
	open(path string) (file, error)
	rename(from, to string) error
	// place renames a file to a name that nothing has: fs.ErrExist where something
	// has it, errors.ErrUnsupported where the system or the file system cannot tell.
	place(from, to string) error
	// link gives a file a second name.
	link(from, to string) error
	remove(path string) error
	// syncDir makes the names in a folder durable.
	syncDir(path string) error
}

// file is the part of *os.File that is used.
type file interface {
	io.ReadWriteCloser
	io.ReaderAt
	io.Seeker
	Sync() error
	Stat() (os.FileInfo, error)
}

// osFS is the operating system's file system.
type osFS struct{}

func (osFS) mkdir(path string) error {
	if err := os.Mkdir(path, 0o750); err != nil && !os.IsExist(err) {
		return err
	}
	return nil
}

func (osFS) create(path string) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640) //nolint:gosec // the group may read
}

func (osFS) open(path string) (file, error)  { return os.Open(path) }
func (osFS) rename(from, to string) error    { return os.Rename(from, to) }
func (osFS) place(from, to string) error     { return place(from, to) }
func (osFS) link(from, to string) error      { return os.Link(from, to) }
func (osFS) remove(path string) error        { return os.Remove(path) }
func (osFS) syncDir(path string) (err error) { return syncDir(path) }
