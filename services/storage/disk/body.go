package disk

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"

	"imagemill/services/storage/footer"
)

// memoryBody gives out verified bytes of a pooled buffer. It is locked because
// a body may be closed while another goroutine still reads it (net/http does
// so), and the buffer then belongs to another blob.
type memoryBody struct {
	mu   sync.Mutex
	rest *bytes.Reader
	free func()
}

// Read gives os.ErrClosed once the buffer is another's.
func (b *memoryBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rest == nil {
		return 0, os.ErrClosed
	}
	return b.rest.Read(p)
}

// WriteTo spares a copy.
func (b *memoryBody) WriteTo(w io.Writer) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rest == nil {
		return 0, os.ErrClosed
	}
	return b.rest.WriteTo(w)
}

// Close hands the buffer back, once.
func (b *memoryBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rest != nil {
		b.rest = nil
		b.free()
	}
	return nil
}

// checkedBody gives out a whole blob and holds its last piece back until the
// digest is known to be right: a reader that counts the bytes, as HTTP does,
// would else take a damaged blob for a whole one.
type checkedBody struct {
	f      file
	hash   hash.Hash
	left   int64
	digest string
	err    error
}

// Read gives the same error for ever, once it has given one.
func (b *checkedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := b.f.Read(p[:min(int64(len(p)), b.left)])
	b.hash.Write(p[:n])
	b.left -= int64(n)
	switch {
	case b.left == 0:
		b.err = footer.Compare(b.hash.Sum(nil), b.digest)
	case errors.Is(err, io.EOF):
		b.err = fmt.Errorf("%w: %d bytes are missing", footer.ErrDamaged, b.left)
	case err != nil:
		b.err = fmt.Errorf("read blob: %w", err)
	}
	if b.err != nil {
		return 0, b.err
	}
	return n, nil
}

// Close may come before the end; nothing is verified then.
func (b *checkedBody) Close() error { return closeOnce(b.f) }

// plainBody gives out bytes that are verified already, or not verified at all.
type plainBody struct {
	f    file
	rest io.LimitedReader
}

// Read gives footer.ErrDamaged where the file has become too short.
func (b *plainBody) Read(p []byte) (int, error) {
	n, err := b.rest.Read(p)
	if errors.Is(err, io.EOF) && b.rest.N > 0 {
		return n, b.short()
	}
	return n, err
}

// WriteTo hands the file itself to w, so that a TCP connection can be fed by
// the kernel (sendfile).
func (b *plainBody) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, &b.rest)
	if err == nil && b.rest.N > 0 {
		err = b.short()
	}
	return n, err
}

func (b *plainBody) short() error {
	return fmt.Errorf("%w: %d bytes are missing", footer.ErrDamaged, b.rest.N)
}

// Close closes the file.
func (b *plainBody) Close() error { return closeOnce(b.f) }

// closeOnce makes a second Close harmless.
func closeOnce(f io.Closer) error {
	if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
