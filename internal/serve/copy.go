package serve

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// writeTimeout is how long a reader of a streamed answer may take for one buffer.
const writeTimeout = 30 * time.Second

// Copy streams src as the rest of the answer. A source that fails midway breaks
// the connection, since a status has been sent: the client must not take a
// short answer for a whole one. A client that stops reading is let go after 30
// seconds without progress.
func Copy(c echo.Context, src io.Reader) error {
	w := c.Response()
	rc := http.NewResponseController(w.Writer)
	buf := make([]byte, 32<<10)
	for {
		n, rerr := src.Read(buf)
		if n > 0 {
			// A writer without deadlines (a test's recorder) goes without.
			_ = rc.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err := w.Write(buf[:n]); err != nil {
				return fmt.Errorf("write answer: %w", err)
			}
		}
		if rerr == io.EOF {
			_ = rc.SetWriteDeadline(time.Time{})
			return nil
		}
		if rerr != nil {
			panic(http.ErrAbortHandler)
		}
	}
}
