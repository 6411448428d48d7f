package engine

import (
	"errors"
	"os"
)

// ScratchFile writes a file of a job's folder over whatever an earlier job left
// under that name, and cuts off what is longer when it is closed. A file that
// is emptied first and then filled is what ext4 takes for a document being
// saved: it writes it to the disk as soon as it is closed, which scratch files
// have no use for.
type ScratchFile struct {
	file *os.File
	size int64
}

// CreateScratch opens path, which is made if it is missing.
func CreateScratch(path string) (*ScratchFile, error) {
	f, err := OpenPlain(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return &ScratchFile{file: f}, nil
}

// Write implements io.Writer.
func (f *ScratchFile) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	f.size += int64(n)
	return n, err
}

// Size is what was written so far, in bytes.
func (f *ScratchFile) Size() int64 { return f.size }

// Close ends the file where the last Write ended. Only after it has succeeded
// is the file what was written.
func (f *ScratchFile) Close() error {
	stat, err := f.file.Stat()
	if err == nil && stat.Size() > f.size {
		err = f.file.Truncate(f.size)
	}
	return errors.Join(err, f.file.Close())
}
