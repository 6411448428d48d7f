package disk

import (
	"bytes"
	"errors"
	"fmt"
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
func (b *plainBody) Close() error { return closedOnce{b.f}.Close() }

// closedOnce is a file whose second Close is harmless.
type closedOnce struct{ file }

// Close closes the file, unless it is closed.
func (f closedOnce) Close() error {
	if err := f.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
