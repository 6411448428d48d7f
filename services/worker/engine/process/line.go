package process

import (
	"bufio"
	"fmt"
	"io"
	"os"
)

// Line is a child's end of the connection to its parent.
type Line struct {
	read  *bufio.Reader
	in    io.Reader
	out   io.Writer
	files passed // nil where paths are given instead
}

// passed hands over descriptors that came with what was read so far.
type passed interface {
	take(n int) ([]*os.File, error)
}

// NewLine makes a line of two streams; originals are given by path. A Line that
// is waited on ends with its ctx only if in is an io.Closer.
func NewLine(in io.Reader, out io.Writer) *Line {
	return &Line{read: bufio.NewReader(in), in: in, out: out}
}

// take gives n descriptors.
func (l *Line) take(n int) ([]*os.File, error) {
	if n == 0 {
		return nil, nil
	}
	if l.files == nil {
		return nil, fmt.Errorf("%w: it claims %d descriptors", errRubbish, n)
	}
	return l.files.take(n)
}

// end lets a read return that is waiting.
func (l *Line) end() {
	if c, ok := l.in.(io.Closer); ok {
		_ = c.Close() // nobody reads any more
	}
}

// wire is a parent's end of the connection to one child.
type wire struct {
	read *bufio.Reader
	// send writes frames; files go with the first byte.
	send  func(frames []byte, files []*os.File) error
	close func()
}
