package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"imagemill/internal/fault"
)

// maxJSON bounds every JSON request body.
const maxJSON = 1 << 20

// Decode reads the request's JSON body into v. It refuses, as fault.Invalid, a
// malformed body, unknown fields and anything after the value; as
// fault.TooLarge, more than 1 MiB.
func Decode(c echo.Context, v any) error {
	body, err := io.ReadAll(io.LimitReader(c.Request().Body, maxJSON+1))
	if err != nil {
		return ReadError(err)
	}
	if len(body) > maxJSON {
		return fault.Newf(fault.TooLarge, "the JSON body is larger than %d bytes", maxJSON)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return jsonError(err)
	}
	// Not dec.More(), which takes a closing bracket for an end.
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "the JSON body goes on after its value")
	}
	return nil
}

// jsonError says which field was wrong, where the decoder knows it.
func jsonError(err error) error {
	if te, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fault.Newf(fault.Invalid, "must be %s, not %s", te.Type, te.Value).WithField(te.Field)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fault.New(fault.Invalid, "unknown field").WithField(strings.Trim(name, `"`))
	}
	return fault.Newf(fault.Invalid, "the body is not valid JSON: %s", err)
}

// ReadError gives an error of reading a request body its kind: too slow, too
// large, or broken off by the client.
func ReadError(err error) error {
	var maxErr *http.MaxBytesError
	var netErr net.Error
	switch {
	case errors.As(err, &maxErr):
		return fault.Newf(fault.TooLarge, "the body is larger than the allowed %d bytes", maxErr.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return fault.Wrap(fault.Timeout, "the body arrived too slowly", err)
	}
	return fault.Wrap(fault.Invalid, "the body broke off before its end", fmt.Errorf("read body: %w", err))
}

// Pace bounds how slowly a body may arrive.
type Pace struct {
	// Grace is the time for the first byte, and the slack at all times.
	Grace time.Duration
	// Rate is the least average rate, in bytes a second.
	Rate int64
}

// Paced returns body, which is the request's own or wraps it, with a moving
// read deadline: n bytes must have arrived within Grace + n/Rate. What is slower
// fails with fault.Timeout; all errors have the kind that [ReadError] gives.
func Paced(c echo.Context, body io.Reader, p Pace) io.Reader {
	b := &pacedBody{
		body: body, rc: http.NewResponseController(c.Response().Writer),
		start: time.Now(), pace: p,
	}
	b.arm()
	return b
}

type pacedBody struct {
	body  io.Reader
	rc    *http.ResponseController
	start time.Time
	pace  Pace
	n     int64
	armed int64
}

// Read moves the deadline with every byte that has come: batches of them would
// cut off a body that is slow but fast enough.
func (b *pacedBody) Read(p []byte) (int, error) {
	if b.n > b.armed {
		b.arm()
	}
	n, err := b.body.Read(p)
	b.n += int64(n)
	if err == io.EOF { //nolint:errorlint // Reader's contract: io.EOF itself
		_ = b.rc.SetReadDeadline(time.Time{})
		return n, err
	}
	if err != nil {
		err = ReadError(err)
	}
	return n, err
}

func (b *pacedBody) arm() {
	b.armed = b.n
	d := b.pace.Grace + time.Duration(float64(b.n)/float64(b.pace.Rate)*float64(time.Second))
	// A response writer without deadlines (a test's recorder) goes without.
	_ = b.rc.SetReadDeadline(b.start.Add(d))
}

// guardSmallBody gives a request with a body a deadline to send it; handlers of
// long bodies replace it by [Paced]. The deadline is lifted at the body's end,
// or it would cut off a handler that goes on for longer.
func guardSmallBody(c echo.Context, timeout time.Duration) {
	r := c.Request()
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return
	}
	rc := http.NewResponseController(c.Response().Writer)
	if rc.SetReadDeadline(time.Now().Add(timeout)) != nil {
		return
	}
	r.Body = &guardedBody{ReadCloser: r.Body, rc: rc}
}

type guardedBody struct {
	io.ReadCloser
	rc *http.ResponseController
}

func (b *guardedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}
