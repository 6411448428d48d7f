package discovery

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// requestBody is a request's body, for one attempt after another.
type requestBody interface {
	// attempt is the body for the next attempt, read from its start. It may be
	// called once, and again after each rewind that succeeded.
	attempt() io.ReadCloser
	// rewind gives what the next attempt is to read, nil if it cannot be read again.
	rewind() requestBody
	// failure is the error that the body itself ended with, nil for none.
	failure() error
	// release is called when no attempt follows.
	release()
}

// wholeBody is a short body that was read before the first attempt. The carrier
// sees that it lies in memory and sends it together with the header: one packet
// instead of two, and a server that finds all it needs when it looks. Attempts
// that were given up may go on reading, since nobody writes to it.
type wholeBody []byte

// readWhole reads and closes the body of a request that says how long it is.
func readWhole(req *http.Request) (requestBody, error) {
	data := make([]byte, req.ContentLength+1) // one more shows a body that goes on
	n, err := 0, error(nil)
	for n < len(data) && err == nil {
		var m int
		m, err = req.Body.Read(data[n:])
		n += m
	}
	_ = req.Body.Close()
	if err != nil && err != io.EOF { //nolint:errorlint // a reader's end is io.EOF itself
		return nil, err
	}
	if int64(n) != req.ContentLength {
		return nil, fmt.Errorf("%w: at least %d bytes instead of %d", errBodyLength, n, req.ContentLength)
	}
	return wholeBody(data[:n]), nil
}

// errBodyLength is for a body that is longer or shorter than its request says.
var errBodyLength = errors.New("body of another length than announced")

func (b wholeBody) attempt() io.ReadCloser { return io.NopCloser(bytes.NewReader(b)) }

func (b wholeBody) rewind() requestBody { return b }

func (b wholeBody) failure() error { return nil }

func (b wholeBody) release() {}
