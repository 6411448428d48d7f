package footer

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Checked gives out the size bytes of a whole blob that r holds next, and holds
// the last piece back until their digest is known to be the one that was kept: a
// reader that counts the bytes, as HTTP does, would else take a damaged blob for
// a whole one. ErrDamaged comes in that piece's stead, and where r ends too early;
// other errors of r's are passed on. Closing it closes r; nothing is verified of
// a body that is closed before its end.
func Checked(r io.ReadCloser, size int64, digest string) io.ReadCloser {
	return &checked{r: r, hash: sha256.New(), left: size, digest: digest}
}

type checked struct {
	r      io.ReadCloser
	hash   hash.Hash
	left   int64
	digest string
	err    error
}

// Read gives the same error for ever, once it has given one.
func (b *checked) Read(p []byte) (int, error) {
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
	b.hash.Write(p[:n])
	b.left -= int64(n)
	switch {
	case b.left == 0:
		b.err = Compare(b.hash.Sum(nil), b.digest)
	case errors.Is(err, io.EOF):
		b.err = fmt.Errorf("%w: %d bytes are missing", ErrDamaged, b.left)
	case err != nil:
		b.err = fmt.Errorf("read blob: %w", err)
	}
	if b.err != nil {
		return 0, b.err
	}
	return n, nil
}

// Close closes what is read.
func (b *checked) Close() error { return b.r.Close() }
