package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Options say what to make of a picture: by one of Pipeline, Preset and Query.
// The zero value stands for the server's preset "default".
type Options struct {
	// Pipeline is a JSON document, as imagemill/pkg/pipeline writes it.
	Pipeline json.RawMessage
	// Preset is the name of a preset of the server.
	Preset string
	// Query holds operations for one result, such as width=800&format=png.
	Query url.Values
	// ContentType of the bytes, for the record; the server looks at the bytes.
	ContentType string
	// Expires is when the server removes the image, with all that belongs to it, and
	// Keep for how long it keeps it, 1 s to ten years; at most one of both. Zero is for
	// as long as the operator has set.
	Expires time.Time
	Keep    time.Duration
	// IdempotencyKey is by what the server knows the same upload again, 1 to 255
	// printable ASCII characters: it gives the ID of the first, as long as that image
	// is there, and answers 422 to another picture or other options. "" stands for a
	// key that is made up for this call where the call may be repeated.
	IdempotencyKey string
	// Dedupe has the server spare the work where the same bytes came before with it,
	// from the same API key and for the same operations; otherwise it is as the operator
	// has set.
	Dedupe bool
}

// query joins the options; which of them go together is the server's to say.
func (o Options) query() url.Values {
	q := url.Values{}
	maps.Copy(q, o.Query)
	if len(o.Pipeline) > 0 {
		q.Set("pipeline", string(o.Pipeline))
	}
	if o.Preset != "" {
		q.Set("preset", o.Preset)
	}
	if o.Keep != 0 {
		q.Set("expires", o.Keep.String())
	}
	if o.Dedupe {
		q.Set("dedupe", "true")
	}
	if !o.Expires.IsZero() {
		q.Add("expires", o.Expires.UTC().Format(time.RFC3339))
	}
	return q
}

// expectAbove is the size from which an upload asks first whether it is welcome,
// so that a refusal arrives before the bytes leave.
const expectAbove = 256 << 10

// Upload sends a picture of size bytes, or -1 for unknown, and gives the ID of
// the image. When it returns without an error, the image is durable.
//
// A body that is an [io.Seeker] is sent again, from where it stood, after a
// connection that broke and after 429, 502, 503 and 504, as often as
// Config.Retries says. The server may have taken in the upload whose answer was
// lost; by the Idempotency-Key it knows that, and gives the ID of the first.
//
// Upload does not close body, and does not touch it after it has returned; so a
// Read of body that hangs holds it up, also when ctx has ended.
func (c *Client) Upload(ctx context.Context, body io.Reader, size int64, o Options) (id string, err error) {
	seeker, _ := body.(io.Seeker)
	if o.IdempotencyKey == "" && seeker != nil && c.cfg.Retries > 0 {
		o.IdempotencyKey = rand.Text()
	}
	var start int64
	if seeker != nil {
		if start, err = seeker.Seek(0, io.SeekCurrent); err != nil {
			seeker = nil // a pipe, say, that only looks like a file
		}
	}
	if seeker != nil && size < 0 {
		if size, err = rest(seeker, start); err != nil {
			return "", fmt.Errorf("measure picture: %w", err)
		}
	}
	first := true
	try := func() error {
		if !first {
			if _, err := seeker.Seek(start, io.SeekStart); err != nil {
				return fmt.Errorf("rewind picture: %w", err)
			}
		}
		first = false
		id, err = c.upload(ctx, body, size, o)
		return err
	}
	if seeker == nil {
		return id, wrapUpload(try())
	}
	return id, wrapUpload(c.repeat(ctx, try))
}

func wrapUpload(err error) error {
	if err != nil {
		return fmt.Errorf("upload picture: %w", err)
	}
	return nil
}

// rest tells how many bytes follow start, and goes back there.
func rest(s io.Seeker, start int64) (int64, error) {
	end, err := s.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	_, err = s.Seek(start, io.SeekStart)
	return end - start, err
}

// upload sends the body once.
func (c *Client) upload(ctx context.Context, body io.Reader, size int64, o Options) (string, error) {
	req, err := c.request(ctx, http.MethodPost, "/newImage", o.query())
	if err != nil {
		return "", err
	}
	src := &source{r: body}
	if size != 0 {
		req.Body, req.ContentLength = src, size
	}
	defer src.settle()
	if size < 0 || size > expectAbove {
		req.Header.Set("Expect", "100-continue")
	}
	req.Header.Set("Content-Type", orDefault(o.ContentType, "application/octet-stream"))
	if o.IdempotencyKey != "" {
		req.Header.Set("Idempotency-Key", quoted(o.IdempotencyKey))
	}
	resp, err := c.send(req, http.StatusAccepted)
	if err != nil {
		if serr := src.failed(); serr != nil {
			return "", fmt.Errorf("read picture: %w", serr) // not the connection's fault
		}
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var acc struct{ ID string }
	if err := json.NewDecoder(resp.Body).Decode(&acc); err != nil || acc.ID == "" {
		return "", passing{fmt.Errorf("read answer: %w", orDefault(err, io.ErrUnexpectedEOF))}
	}
	return acc.ID, nil
}

// quoted is a string as a header field holds it (RFC 9651).
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// source passes on a body, remembers its error, and can be shut: the transport
// may go on reading after it has answered.
type source struct {
	r       io.Reader
	reading sync.Mutex // held while reading from r

	mu   sync.Mutex
	shut bool
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.isShut() {
		return 0, errors.New("the request is over")
	}
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.err = err
	}
	return n, err
}

// Close lets no further Read through. It does not close r.
func (s *source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut = true
	return nil
}

// settle closes, and waits for a Read in hand.
func (s *source) settle() {
	_ = s.Close()
	s.reading.Lock()
	defer s.reading.Unlock()
}

func (s *source) isShut() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shut
}

func (s *source) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
