package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// passing marks an error after which the same call may succeed: the connection,
// not the request, was at fault.
type passing struct{ err error }

func (p passing) Error() string { return p.err.Error() }
func (p passing) Unwrap() error { return p.err }

// temporary reports whether a repeat makes sense, and what pause was asked for.
func temporary(err error) (pause time.Duration, ok bool) {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter, e.Temporary()
	}
	var p passing
	return 0, errors.As(err, &p)
}

// repeat calls try until it succeeds, fails for good, or the repeats are used up.
// try must be safe to repeat.
func (c *Client) repeat(ctx context.Context, try func() error) error {
	for n := 0; ; n++ {
		err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		asked, ok := temporary(err)
		if !ok || n >= c.cfg.Retries || asked > c.cfg.MaxPause {
			return err
		}
		if perr := pause(ctx, max(asked, c.backoff(n))); perr != nil {
			return errors.Join(perr, err)
		}
	}
}

// backoff is the pause after try n, 0 for the first: doubled each time, and up
// to a quarter shorter, so that many clients do not come back at once.
func (c *Client) backoff(n int) time.Duration {
	d := min(c.cfg.Backoff<<min(n, 20), c.cfg.MaxPause)
	if d <= 0 {
		d = c.cfg.MaxPause
	}
	return d - time.Duration(rand.Int64N(int64(d)/4+1))
}

// pause waits, or gives the error of ctx when that ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// request makes a request of the API.
func (c *Client) request(ctx context.Context, method, path string, q url.Values) (*http.Request, error) {
	target := c.base + path
	if len(q) > 0 {
		target += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if c.cfg.APIKey != "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.APIKey)
	}
	return req, nil
}

// send gives the answer if it has one of the statuses, and otherwise an error.
// The caller closes the answer's body.
func (c *Client) send(req *http.Request, statuses ...int) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, passing{fmt.Errorf("call server: %w", err)}
	}
	if slices.Contains(statuses, resp.StatusCode) {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 400 {
		return nil, errorOf(resp)
	}
	return nil, fmt.Errorf("call server: unexpected status %d of %s", resp.StatusCode, req.URL.Path)
}
