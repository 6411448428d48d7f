package footer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"imagemill/internal/digest"
)

// Checked gives out the size bytes of a whole blob that r holds next, and holds
// the last piece back until their digest is known to be the one that was kept: a
// reader that counts the bytes, as HTTP does, would else take a damaged blob for
// a whole one. ErrDamaged comes in that piece's stead, and where r ends too early;
// other errors of r's are passed on. Closing it closes r, also while another
// goroutine reads; nothing is verified of a body that is closed before its end. A
// body must be closed: a large one is digested by a goroutine of its own.
func Checked(r io.ReadCloser, size int64, want string) io.ReadCloser {
	return &checked{r: r, hash: digest.New(), left: size, want: want}
}

type checked struct {
	r io.ReadCloser

	mu   sync.Mutex // of what follows
	hash *digest.Writer
	left int64
	want string
	err  error
}

// Read gives the same error for ever, once it has given one.
func (b *checked) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return 0, b.err
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	_, _ = b.hash.Write(p[:n]) // which does not fail
	if b.note(n, err); b.err != nil {
		return 0, b.err
	}
	return n, nil
}

// note counts bytes that are being digested, and judges them all after the last.
func (b *checked) note(n int, err error) {
	b.left -= int64(n)
	switch {
	case b.left == 0:
		b.err = Compare(b.hash.Sum(), b.want)
	case errors.Is(err, io.EOF):
		b.err = fmt.Errorf("%w: %d bytes are missing", ErrDamaged, b.left)
	case err != nil:
		b.err = fmt.Errorf("read blob: %w", err)
	}
}

// lastPiece bounds what WriteTo holds back, in bytes.
const lastPiece = 4 << 10

// WriteTo reads into what is digested, where Read would have it copied.
func (b *checked) WriteTo(w io.Writer) (written int64, _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.err == nil && b.left > 0 {
		room, most := b.hash.Room(), b.left
		if most > lastPiece {
			most -= lastPiece
		}
		n, failure := b.r.Read(room[:min(int64(len(room)), most)])
		piece, last := room[:n], int64(n) == b.left
		if last {
			piece = bytes.Clone(piece) // room is given up when all is digested
		} else if b.err = write(w, piece, &written); b.err != nil {
			break
		}
		b.hash.Advance(n)
		if b.note(n, failure); last && b.err == nil {
			b.err = write(w, piece, &written)
		}
	}
	return written, b.err
}

func write(w io.Writer, p []byte, written *int64) error {
	n, err := w.Write(p)
	*written += int64(n)
	return err
}

// Close closes what is read, which ends a Read that waits for it.
func (b *checked) Close() error {
	err := b.r.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hash.Close()
	if b.err == nil {
		b.err = os.ErrClosed
	}
	return err
}
