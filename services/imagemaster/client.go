package imagemaster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"imagemill/internal/fault"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// Client is a Master over HTTP.
type Client struct {
	base string
	http *http.Client
}

// NewClient makes a client of the masters behind base, such as http://imagemaster.
func NewClient(base string, hc *http.Client) *Client { return &Client{base: base, http: hc} }

// NewImage streams the upload on; it is never repeated by itself.
func (c *Client) NewImage(ctx context.Context, u Upload) (Accepted, error) {
	body := &sourceReader{r: u.Body}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/newImage", body)
	if err != nil {
		return Accepted{}, fmt.Errorf("make request: %w", err)
	}
	req.ContentLength = u.Size
	req.Header.Set("Content-Type", u.ContentType)
	req.Header.Set(headerPipeline, string(u.Pipeline))
	setQueue(req.Header, u)
	if u.Keep != 0 {
		req.Header.Set(headerKeep, u.Keep.String())
	}
	if !u.Expires.IsZero() {
		req.Header.Set(headerExpires, u.Expires.UTC().Format(time.RFC3339Nano))
	}
	if u.IdempotencyKey != "" {
		req.Header.Set(headerKey, u.IdempotencyKey)
	}
	if u.Dedupe {
		req.Header.Set(headerDedupe, "true")
	}
	var acc Accepted
	err = c.do(req, http.StatusAccepted, &acc)
	if err != nil && body.failed() != nil {
		return Accepted{}, body.failed() // the source broke, not the way
	}
	return acc, err
}

// IsReady asks, and waits if told to.
func (c *Client) IsReady(ctx context.Context, id string, wait time.Duration) (Status, error) {
	q := url.Values{"id": {id}, "wait": {bounded(wait).String()}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/isReady?"+q.Encode(), nil)
	if err != nil {
		return Status{}, fmt.Errorf("make request: %w", err)
	}
	var st Status
	err = c.do(req, http.StatusOK, &st)
	return st, err
}

// Get opens a rendition; the body streams.
func (c *Client) Get(ctx context.Context, id, rendition string, span storage.Span) (Image, error) {
	if err := span.Validate(); err != nil {
		return Image{}, err // no Range header can say it
	}
	q := url.Values{"id": {id}, "rendition": {rendition}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/get?"+q.Encode(), nil)
	if err != nil {
		return Image{}, fmt.Errorf("make request: %w", err)
	}
	if !span.IsWhole() {
		req.Header.Set("Range", span.Header())
	}
	resp, err := c.send(req) //nolint:bodyclose // the image's body closes it
	if err != nil {
		return Image{}, err
	}
	img := Image{
		ContentType: resp.Header.Get("Content-Type"), Name: resp.Header.Get(headerName), Format: resp.Header.Get(headerFormat),
	}
	if img.Object, err = storage.ObjectFromResponse(resp); err != nil {
		return Image{}, err
	}
	return img, nil
}

// GetWork asks for work, and waits if told to.
func (c *Client) GetWork(ctx context.Context, r WorkRequest) ([]Work, error) {
	q := url.Values{"worker": {r.Worker}, "max": {strconv.Itoa(r.Max)}, "wait": {bounded(r.Wait).String()}}
	if r.Engine != "" {
		q.Set("engine", r.Engine)
	}
	if len(r.Others) > 0 { // else it makes no difference
		others := make([]string, len(r.Others))
		for i, can := range r.Others {
			others[i] = can.String()
		}
		q.Set("can", r.Can.String())
		q.Set("others", strings.Join(others, ","))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/getWork?"+q.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	var list workList
	err = c.doInto(req, &list, http.StatusOK, http.StatusNoContent)
	return list.Tasks, err
}

// WorkProgress renews the lease.
func (c *Client) WorkProgress(ctx context.Context, p ProgressReport) error {
	return c.report(ctx, "/workProgress", key(p.ID, p.Attempt, "progress"), p)
}

// WorkFinished records the result.
func (c *Client) WorkFinished(ctx context.Context, w FinishedWork) error {
	return c.report(ctx, "/workFinished", key(w.ID, w.Result.Attempt, "finished"), w)
}

// WorkFailed records the failure.
func (c *Client) WorkFailed(ctx context.Context, w FailedWork) error {
	return c.report(ctx, "/workFailed", key(w.ID, w.Attempt, "failed"), w)
}

// WorkReleased gives the task back.
func (c *Client) WorkReleased(ctx context.Context, l taskdb.Lease) error {
	return c.report(ctx, "/workReleased", key(l.ID, l.Attempt, "released"), l)
}

func key(id string, attempt int, what string) string {
	return id + "-" + strconv.Itoa(attempt) + "-" + what
}

// report posts a report. All reports are safe to repeat, which the
// Idempotency-Key tells the transport.
func (c *Client) report(ctx context.Context, path, idempotencyKey string, v any) error {
	req, err := c.reporting(ctx, path, idempotencyKey, v)
	if err != nil {
		return err
	}
	return c.doInto(req, nil, http.StatusNoContent)
}

// reporting is the request of a report.
func (c *Client) reporting(ctx context.Context, path, idempotencyKey string, v any) (*http.Request, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode report: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", idempotencyKey)
	return req, nil
}

func (c *Client) do(req *http.Request, status int, into any) error {
	return c.doInto(req, into, status)
}

// doInto sends, and decodes the body of a 200 or 202 into into.
func (c *Client) doInto(req *http.Request, into any, statuses ...int) error {
	resp, err := c.send(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	for _, st := range statuses {
		if resp.StatusCode != st {
			continue
		}
		if st == http.StatusNoContent || into == nil {
			return nil
		}
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			return fault.Wrap(fault.Unavailable, "the imagemaster's answer broke off", err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	return fault.Newf(fault.Internal, "unexpected status %d of %s", resp.StatusCode, req.URL.Path)
}

// send gives an answer below 400, or the error.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req) //nolint:gosec // where it goes is configuration; what a worker reports is its body
	if err != nil {
		if ctxErr := req.Context().Err(); ctxErr != nil {
			return nil, fmt.Errorf("call %s: %w", req.URL.Path, ctxErr)
		}
		return nil, fault.Wrap(fault.Unavailable, "the imagemaster cannot be reached", err).WithRetryAfter(time.Second)
	}
	if resp.StatusCode >= 400 {
		defer func() { _ = resp.Body.Close() }()
		return nil, fault.FromResponse(resp)
	}
	return resp, nil
}

// sourceReader remembers an error of the source it reads. The transport may
// still read in the background when the call has failed, hence the lock.
type sourceReader struct {
	r   io.Reader
	mu  sync.Mutex
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.err = err
	}
	return n, err
}

func (s *sourceReader) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
