package storage

import (
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/labstack/echo/v4"

	"imagemill/internal/byterange"
)

const sendBuffer = 128 << 10

// Sender streams objects into HTTP answers through pooled buffers, or lets the
// kernel copy where the body is a file. The zero value is ready, and safe for
// concurrent use.
type Sender struct {
	bufs sync.Pool
}

// Send answers with an object and closes its body. The caller has set the
// headers that describe it; Send sets length and range: 206 if ranged (a Range
// header was followed) and there are bytes to speak of, else 200.
//
// An error says that the body, or the connection, failed half-way. The answer
// is then shorter than the length it announced, for which net/http closes the
// connection: the client sees an error, never a short success.
func (s *Sender) Send(c echo.Context, obj Object, ranged bool) error {
	defer obj.Body.Close() //nolint:errcheck // only read
	resp, status := c.Response(), http.StatusOK
	resp.Header().Set("Content-Length", strconv.FormatInt(obj.Length, 10))
	if ranged && obj.Length > 0 {
		status = http.StatusPartialContent
		resp.Header().Set("Content-Range", byterange.ContentRange(obj.Offset, obj.Length, obj.Size))
	}
	resp.WriteHeader(status)
	n, err := s.copy(resp, obj.Body)
	if err == nil && n != obj.Length {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// copy writes below Echo's own writer, which would hide that the connection can
// take a file as it is, and does that writer's counting.
func (s *Sender) copy(resp *echo.Response, body io.Reader) (n int64, err error) {
	defer func() { resp.Size += n }()
	if w, ok := body.(io.WriterTo); ok {
		return w.WriteTo(resp.Writer)
	}
	buf, ok := s.bufs.Get().(*[sendBuffer]byte)
	if !ok {
		buf = new([sendBuffer]byte)
	}
	defer s.bufs.Put(buf)
	// Only Write, or the connection would allocate a buffer of its own.
	return io.CopyBuffer(struct{ io.Writer }{resp.Writer}, body, buf[:])
}
