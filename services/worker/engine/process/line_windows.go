package process

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
)

// passesFiles: descriptors cannot go over a pipe.
const passesFiles = false

// mostFiles bounds the pictures of one job, as elsewhere.
const mostFiles = 64

// Parent gives the line of this process to the pool that started it: standard
// input and output. Originals come by path.
func Parent() (*Line, error) { return NewLine(os.Stdin, os.Stdout), nil }

// attach gives cmd its ends of two new pipes, which are to be closed here once
// the child has them.
func attach(cmd *exec.Cmd) (w *wire, started func(), err error) {
	in, toChild, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("make pipe: %w", err)
	}
	fromChild, out, err := os.Pipe()
	if err != nil {
		_, _ = in.Close(), toChild.Close()
		return nil, nil, fmt.Errorf("make pipe: %w", err)
	}
	cmd.Stdin, cmd.Stdout = in, out
	w = &wire{
		read: bufio.NewReader(fromChild),
		send: func(b []byte, _ []*os.File) error {
			_, err := toChild.Write(b)
			return err
		},
		close: func() { _, _ = toChild.Close(), fromChild.Close() },
	}
	return w, func() { _, _ = in.Close(), out.Close() }, nil
}
