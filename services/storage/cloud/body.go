package cloud

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"imagemill/internal/fault"
	"imagemill/services/storage/footer"
)

// memoryBody gives out bytes that are verified already.
type memoryBody struct{ *bytes.Reader }

// Close does nothing.
func (memoryBody) Close() error { return nil }

// stream reads one object from offset to end. A connection that breaks is opened
// again where it broke, three times in all; the pin keeps another object out.
type stream struct {
	s           *Store
	ctx         context.Context
	name, pin   string
	offset, end int64 // end -1: as far as it goes

	r      io.ReadCloser
	cancel context.CancelFunc
	watch  *time.Timer
	err    error // that came with bytes, or for ever
	breaks int
}

// open asks for what is left.
func (b *stream) open() (object, error) {
	ctx, cancel := context.WithCancel(b.ctx)
	b.watch = time.AfterFunc(b.s.cfg.CallTimeout, cancel)
	length := int64(-1)
	if b.end >= 0 {
		length = b.end - b.offset
	}
	r, obj, err := b.s.bucket.open(ctx, b.name, b.offset, length, b.pin)
	if !b.watch.Stop() && err != nil {
		err = errors.Join(context.DeadlineExceeded, err)
	}
	if err != nil {
		cancel()
		return object{}, err
	}
	b.r, b.cancel = r, cancel
	return obj, nil
}

// Read fails where the object ends too early, and for good once it has failed.
func (b *stream) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.offset >= b.end {
		return 0, io.EOF
	}
	for {
		n, err := b.readOnce(p[:min(int64(len(p)), b.end-b.offset)])
		b.offset += int64(n)
		if n > 0 || err == nil {
			return n, nil // the error comes again, if it was one
		}
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: %d bytes are missing", footer.ErrDamaged, b.end-b.offset)
		}
		if b.err = b.goOn(err); b.err != nil {
			return 0, b.err
		}
	}
}

func (b *stream) readOnce(p []byte) (int, error) {
	if b.r == nil {
		if _, err := b.open(); err != nil {
			return 0, err
		}
	}
	b.watch.Reset(b.s.cfg.CallTimeout)
	n, err := b.r.Read(p)
	if !b.watch.Stop() && err != nil {
		err = errors.Join(context.DeadlineExceeded, err)
	}
	return n, err
}

// goOn gives the error that ends the body, or nil where the object may be opened
// again, after a pause.
func (b *stream) goOn(err error) error {
	b.drop()
	b.breaks++
	if b.ctx.Err() != nil {
		return errors.Join(b.ctx.Err(), err)
	}
	if b.breaks > 3 || kindOf(err) != fault.Unavailable || errors.Is(err, errNotThere) || errors.Is(err, errNoBlob) {
		if kindOf(err) == fault.Unavailable {
			return b.s.unavailable(err)
		}
		return err
	}
	pause := time.NewTimer(min(100*time.Millisecond<<b.breaks, b.s.cfg.Pause))
	defer pause.Stop()
	select {
	case <-pause.C:
		return nil
	case <-b.ctx.Done():
		return errors.Join(b.ctx.Err(), err)
	}
}

// drop ends the connection.
func (b *stream) drop() {
	if b.r == nil {
		return
	}
	b.cancel()
	_ = b.r.Close() // only read
	b.r = nil
}

// Close may come before the end.
func (b *stream) Close() error {
	b.drop()
	return nil
}
