package serve

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"time"
)

// reply holds the answer to a parked request until it is whole. It is an
// http.ResponseWriter.
type reply struct {
	header http.Header
	status int // 0 until it is set
	body   bytes.Buffer
}

// Header gives the header to be sent.
func (w *reply) Header() http.Header { return w.header }

// WriteHeader sets the status; the first one counts.
func (w *reply) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write adds to the body.
func (w *reply) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// failed replaces the answer by one that says nothing but that it failed.
func (w *reply) failed() {
	w.status = http.StatusInternalServerError
	w.body.Reset()
	for _, k := range []string{"Content-Type", "Content-Encoding", "Content-Length"} {
		w.header.Del(k)
	}
}

// send writes the answer in one piece, as net/http would have, and gives the
// size of its body.
func (w *reply) send(to io.Writer, keep bool) (size int64, err error) {
	w.WriteHeader(http.StatusOK)
	size = int64(w.body.Len())
	h := w.header
	if h.Get("Date") == "" {
		h["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
	}
	if !keep {
		h["Connection"] = []string{"close"}
	}
	if w.status != http.StatusNoContent && w.status != http.StatusNotModified {
		h["Content-Length"] = []string{strconv.FormatInt(size, 10)}
	}
	if size > 0 && h["Content-Type"] == nil {
		h["Content-Type"] = []string{http.DetectContentType(w.body.Bytes())}
	}
	var out bytes.Buffer
	out.Grow(512 + int(size))
	out.WriteString("HTTP/1.1 " + strconv.Itoa(w.status) + " " + http.StatusText(w.status) + "\r\n")
	_ = h.Write(&out) // a buffer takes everything
	out.WriteString("\r\n")
	out.Write(w.body.Bytes())
	_, err = to.Write(out.Bytes())
	return size, err
}
