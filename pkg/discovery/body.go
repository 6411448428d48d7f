package discovery

import (
	"io"
	"net/http"
	"sync"
)

// replayBody hands a request's body to one attempt after another. It outlives the
// attempts' closes until it is released, and remembers the start of what it reads,
// so that the next attempt can begin anew.
type replayBody struct {
	fresh  func() (io.ReadCloser, error) // the request's GetBody, may be nil
	src    io.ReadCloser
	window int

	mu       sync.Mutex // never held while src is read or closed
	current  *attemptBody
	reading  bool   // a Read of src is under way
	head     []byte // all that was read from src, unless spilled
	spilled  bool   // more was read than the window holds
	err      error  // what src ended with
	released bool
	closed   bool
}

// newReplayBody gives the body of a request, nil where it has none. The error is
// that of the body itself.
func newReplayBody(req *http.Request, window int) (requestBody, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil //nolint:nilnil // most requests have no body
	}
	// Who expects to be told to continue wants the body to wait.
	if req.ContentLength > 0 && req.ContentLength <= int64(window) && req.Header.Get("Expect") == "" {
		return readWhole(req)
	}
	if req.GetBody != nil {
		window = 0 // there is a better way to begin anew
	}
	return &replayBody{fresh: req.GetBody, src: req.Body, window: window}, nil
}

// attempt is the body for the next attempt, read from its start. It may be called
// once, and again after each rewind that succeeded.
func (b *replayBody) attempt() io.ReadCloser {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current = &attemptBody{body: b}
	return b.current
}

// rewind cuts the last attempt off from the body and returns what the next one is
// to read from its start, or nil if nothing of that kind is left. An attempt that
// is in the middle of a Read cannot be cut off; only GetBody helps then.
func (b *replayBody) rewind() requestBody {
	b.mu.Lock()
	again := !b.reading && !b.spilled && (b.err == nil || b.err == io.EOF) //nolint:errorlint // a reader's end is io.EOF itself
	if again {
		b.current = nil
	}
	b.mu.Unlock()
	if again {
		return b
	}
	if b.fresh == nil {
		return nil
	}
	src, err := b.fresh()
	if err != nil {
		return nil
	}
	b.release()
	return &replayBody{fresh: b.fresh, src: src}
}

// release lets the last attempt's Close through, or makes up for it.
func (b *replayBody) release() {
	b.mu.Lock()
	b.released = true
	closeNow := b.current == nil || b.current.closed
	b.mu.Unlock()
	if closeNow {
		b.close()
	}
}

func (b *replayBody) close() {
	b.mu.Lock()
	first := !b.closed
	b.closed = true
	b.mu.Unlock()
	if first {
		_ = b.src.Close()
	}
}

// failure is the error that the body itself ended with, nil for none. A request
// that failed with it says nothing about the instance.
func (b *replayBody) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == io.EOF { //nolint:errorlint // a reader's end is io.EOF itself
		return nil
	}
	return b.err
}

// attemptBody is one attempt's view of the body.
type attemptBody struct {
	body   *replayBody
	pos    int  // in the head
	closed bool // guarded by body.mu
}

// Read takes from what is remembered first, then from the source.
func (a *attemptBody) Read(p []byte) (int, error) {
	b := a.body
	b.mu.Lock()
	switch {
	case b.current != a || a.closed || b.closed:
		b.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	case a.pos < len(b.head):
		n := copy(p, b.head[a.pos:])
		a.pos += n
		b.mu.Unlock()
		return n, nil
	case b.err != nil:
		defer b.mu.Unlock()
		return 0, b.err
	}
	b.reading = true
	b.mu.Unlock()
	n, err := b.src.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading, b.err = false, err
	a.pos += b.remember(p[:n])
	return n, err
}

// remember adds to the head or, if it does not fit, forgets it for good; it
// returns by how much the head has grown.
func (b *replayBody) remember(p []byte) int {
	if len(p) == 0 || b.spilled {
		return 0
	}
	if len(b.head)+len(p) > b.window {
		b.spilled, b.head = true, nil
		return 0
	}
	b.head = append(b.head, p...)
	return len(p)
}

// Close ends the attempt. It reaches the source only if no other attempt follows.
func (a *attemptBody) Close() error {
	b := a.body
	b.mu.Lock()
	a.closed = true
	through := b.released && (b.current == a || b.current == nil)
	b.mu.Unlock()
	if through {
		b.close()
	}
	return nil
}
