package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"imagemill/internal/byterange"
	"imagemill/internal/fault"
)

// source is the body of a PUT. It holds the last bytes of an announced size
// back until r has ended, since the storage would keep a blob of the right size
// though r goes on; it remembers an error of r's; and it lets go of r when the
// call is over, though net/http may still be reading then.
type source struct {
	opt PutOptions

	mu   sync.Mutex
	r    io.Reader
	size int64
	err  error // what ended r, io.EOF included
}

// Read gives io.EOF only where r ended after the announced size.
func (s *source) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	left := s.opt.Size - s.size
	if s.opt.Size >= 0 {
		p = p[:min(int64(len(p)), left)]
	}
	n := 0
	if s.opt.Size < 0 || left > 0 {
		n, s.err = s.r.Read(p)
	}
	s.size += int64(n)
	if s.err == nil && s.size == s.opt.Size {
		s.err = s.atEnd()
	}
	if errors.Is(s.err, io.EOF) && s.size < s.opt.Size {
		s.err = s.opt.Check(s.size, "")
	}
	if s.failed() {
		return 0, s.err
	}
	return n, s.err
}

// atEnd reads on until r says whether it has ended.
func (s *source) atEnd() error {
	var one [1]byte
	for range 100 {
		n, err := s.r.Read(one[:])
		if n > 0 {
			return s.opt.CheckLonger(s.size + 1)
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// failed reports whether r ended otherwise than well. io.EOF itself is the end;
// an error that wraps it is not.
func (s *source) failed() bool { return s.err != nil && s.err != io.EOF } //nolint:errorlint // see above

// Close implements io.Closer; r stays open, it is the caller's.
func (s *source) Close() error { return nil }

// stop waits for a Read in progress and lets no other begin.
func (s *source) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = io.ErrClosedPipe
	}
}

// failure gives r's own error, if it had one.
func (s *source) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed() {
		return s.err
	}
	return nil
}

// ObjectFromResponse makes an Object of a 200 or 206 answer that [Sender]
// wrote; closing its Body closes the answer's. The key is not known here. An
// answer without a length is fault.Internal, and closed.
func ObjectFromResponse(resp *http.Response) (Object, error) {
	obj := Object{Info: infoFromHeader(resp.Header), Length: resp.ContentLength}
	obj.Size = resp.ContentLength
	ok := resp.ContentLength >= 0
	if ok && resp.StatusCode == http.StatusPartialContent {
		var length int64
		obj.Offset, length, obj.Size, ok = byterange.ParseContentRange(resp.Header.Get("Content-Range"))
		ok = ok && length == resp.ContentLength
	}
	if !ok {
		return Object{}, fault.Wrap(fault.Internal, "an answer has no usable length",
			errors.Join(fmt.Errorf("status %d, length %d", resp.StatusCode, resp.ContentLength), resp.Body.Close()))
	}
	obj.Body = &arriving{resp: resp, left: obj.Length}
	return obj, nil
}

func infoFromHeader(h http.Header) Info {
	modified, _ := http.ParseTime(h.Get("Last-Modified")) // zero where it is missing
	return Info{SHA256: strings.Trim(h.Get("ETag"), `"`), Modified: modified}
}

// arriving is the body of an answer; a connection that breaks is Unavailable.
type arriving struct {
	resp *http.Response
	left int64
}

// Read gives io.EOF only after all bytes that were announced.
func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.resp.Body.Read(p)
	a.left -= int64(n)
	if errors.Is(err, io.EOF) && a.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF { //nolint:errorlint // the end itself
		ctx := context.Background()
		if a.resp.Request != nil {
			ctx = a.resp.Request.Context()
		}
		err = unreachable(ctx, err)
	}
	return n, err
}

// Close ends the answer; unread, it costs the connection.
func (a *arriving) Close() error { return a.resp.Body.Close() }
