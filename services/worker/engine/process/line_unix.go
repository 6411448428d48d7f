//go:build unix

package process

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
)

// passesFiles: descriptors go over a Unix socket.
const passesFiles = true

// mostFiles bounds the descriptors of one job: the original and its assets.
const mostFiles = 64

// Parent gives the line of this process to the pool that started it, which is its
// standard input. Its standard output is of no meaning, so that a library that
// prints does no harm.
func Parent() (*Line, error) {
	conn, err := socket(os.Stdin)
	if err != nil {
		return nil, fmt.Errorf("standard input is no socket; an engine is started by a worker: %w", err)
	}
	in := &receiver{conn: conn, control: make([]byte, syscall.CmsgSpace(4*mostFiles))}
	return &Line{read: bufio.NewReader(in), in: in, out: conn, files: in}, nil
}

// socket takes over a descriptor. The result is one that Go waits for without
// holding a thread: a thread that is stuck in a read keeps Go's monitor awake.
func socket(f *os.File) (*net.UnixConn, error) {
	conn, err := net.FileConn(f)
	_ = f.Close() // FileConn has made a copy
	if err != nil {
		return nil, err
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		_ = conn.Close()
		return nil, errors.New("not a Unix socket")
	}
	return u, nil
}

// receiver reads bytes and keeps the descriptors that came with them.
type receiver struct {
	conn    *net.UnixConn
	control []byte
	files   []*os.File
}

// Read implements io.Reader.
func (r *receiver) Read(p []byte) (int, error) {
	n, nc, flags, _, err := r.conn.ReadMsgUnix(p, r.control)
	if nc > 0 {
		if kerr := r.keep(r.control[:nc]); kerr != nil {
			return n, kerr
		}
	}
	if flags&syscall.MSG_CTRUNC != 0 {
		return n, fmt.Errorf("%w: too many descriptors", errRubbish)
	}
	return n, err
}

// keep queues descriptors.
func (r *receiver) keep(control []byte) error {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return fmt.Errorf("parse control message: %w", err)
	}
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil {
			return fmt.Errorf("parse control message: %w", err)
		}
		for _, fd := range fds {
			// ReadMsgUnix has set close-on-exec already.
			r.files = append(r.files, os.NewFile(uintptr(fd), "original"))
		}
	}
	return nil
}

// take implements passed.
func (r *receiver) take(n int) ([]*os.File, error) {
	if n < 0 || n > len(r.files) {
		return nil, fmt.Errorf("%w: it claims %d descriptors; %d have come", errRubbish, n, len(r.files))
	}
	files := r.files[:n:n]
	r.files = append([]*os.File(nil), r.files[n:]...)
	return files, nil
}

// Close implements io.Closer.
func (r *receiver) Close() error { return r.conn.Close() }

// attach gives cmd its end of a new connection, which is to be closed here once
// the child has it. Both of its output streams are its stderr.
func attach(cmd *exec.Cmd) (w *wire, started func(), err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "child")
	conn, err := socket(os.NewFile(uintptr(fds[0]), "parent"))
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	cmd.Stdin, cmd.Stdout = theirs, cmd.Stderr
	w = &wire{
		read:  bufio.NewReader(conn),
		send:  func(b []byte, files []*os.File) error { return sendWith(conn, b, files) },
		close: func() { _ = conn.Close() },
	}
	return w, func() { _ = theirs.Close() }, nil
}

// sendWith writes b; the descriptors go with its first byte.
func sendWith(conn *net.UnixConn, b []byte, files []*os.File) error {
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			raw, err := f.SyscallConn()
			if err != nil {
				return err
			}
			// The number stays valid: files are closed after the answer only.
			if err := raw.Control(func(fd uintptr) { fds[i] = int(fd) }); err != nil {
				return err
			}
		}
		n, _, err := conn.WriteMsgUnix(b, syscall.UnixRights(fds...), nil)
		if err != nil {
			return err
		}
		b = b[n:]
	}
	if len(b) == 0 {
		return nil
	}
	_, err := conn.Write(b)
	return err
}
