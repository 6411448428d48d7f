package taskdb

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"imagemill/internal/fault"
)

// Client is a Store over HTTP.
type Client struct {
	base string
	http *http.Client
}

var _ Store = (*Client)(nil)

// NewClient makes a client of the taskdbs behind base, such as http://taskdb.
func NewClient(base string, hc *http.Client) *Client { return &Client{base: base, http: hc} }

// Create implements [Tasks].
func (c *Client) Create(ctx context.Context, n NewTask) (t Task, err error) {
	err = c.post(ctx, "/tasks", n.ID+"-create", n, &t)
	return t, err
}

// Get implements [Tasks].
func (c *Client) Get(ctx context.Context, id string) (t Task, err error) {
	if CheckID(id) != nil {
		return t, NotFound(id) // nor may it become part of a path
	}
	err = c.get(ctx, "/tasks/"+id, &t)
	return t, err
}

// List implements [Tasks].
func (c *Client) List(ctx context.Context, state State, after string, limit int) (Page, error) {
	return c.ListOwned(ctx, "", state, after, limit)
}

// ListOwned implements [Owners].
func (c *Client) ListOwned(ctx context.Context, owner string, state State, after string, limit int) (p Page, err error) {
	if limit, err = CheckList(state, limit); err != nil {
		return p, err
	}
	q := url.Values{"state": {string(state)}, "after": {after}, "limit": {strconv.Itoa(limit)}}
	if owner != "" {
		q.Set("owner", owner)
	}
	err = c.get(ctx, "/tasks?"+q.Encode(), &p)
	return p, err
}

// RetryFailed implements [Owners].
func (c *Client) RetryFailed(ctx context.Context, owner, after string, limit int) (r Retries, err error) {
	err = c.post(ctx, "/failed/retry", "failed-retry", retryBody{owner, after, limit}, &r)
	return r, err
}

// Cancel implements [Tasks].
func (c *Client) Cancel(ctx context.Context, id string) (t Task, err error) {
	err = c.onTask(ctx, id, "cancel", 0, nil, &t)
	return t, err
}

// Retry implements [Tasks].
func (c *Client) Retry(ctx context.Context, id string) (t Task, err error) {
	err = c.onTask(ctx, id, "retry", 0, nil, &t)
	return t, err
}

// Stats implements [Tasks].
func (c *Client) Stats(ctx context.Context) (s Stats, err error) {
	err = c.get(ctx, "/stats", &s)
	return s, err
}

// Claim implements [Leases]. It carries no Idempotency-Key: a repeat would
// claim other tasks.
func (c *Client) Claim(ctx context.Context, cl Claim) ([]Task, error) {
	var l taskList
	err := c.post(ctx, "/claims", "", cl, &l)
	return l.Tasks, err
}

// Twins implements [Twins].
func (c *Client) Twins(ctx context.Context, l Likeness) ([]Task, error) {
	var found taskList
	err := c.post(ctx, "/twins", "twins", l, &found)
	return found.Tasks, err
}

// Renew implements [Leases].
func (c *Client) Renew(ctx context.Context, l Lease, progress float64) (time.Time, error) {
	var r renewed
	err := c.onTask(ctx, l.ID, "lease", l.Attempt, renewBody{l.Attempt, progress}, &r)
	return r.LeaseUntil, err
}

// Finish implements [Leases].
func (c *Client) Finish(ctx context.Context, id string, r Result) (t Task, err error) {
	err = c.onTask(ctx, id, "finish", r.Attempt, r, &t)
	return t, err
}

// Fail implements [Leases].
func (c *Client) Fail(ctx context.Context, id string, f Failure) (t Task, err error) {
	err = c.onTask(ctx, id, "fail", f.Attempt, f, &t)
	return t, err
}

// Release implements [Leases].
func (c *Client) Release(ctx context.Context, l Lease) error {
	return c.onTask(ctx, l.ID, "release", l.Attempt, releaseBody{l.Attempt, l.PauseMillis}, nil)
}

// Expire implements [Leases].
func (c *Client) Expire(ctx context.Context) (Expiry, error) {
	var e Expiry
	err := c.post(ctx, "/leases/expire", "expire", nil, &e)
	return e, err
}

// onTask posts to one task. Such a write names its attempt or ends in the same
// state, so a repeat is safe, which the Idempotency-Key tells the transport.
func (c *Client) onTask(ctx context.Context, id, what string, attempt int, body, into any) error {
	if CheckID(id) != nil {
		return NotFound(id)
	}
	return c.post(ctx, "/tasks/"+id+"/"+what, id+"-"+what+"-"+strconv.Itoa(attempt), body, into)
}

// rawBody is a body that is JSON already.
type rawBody []byte

func (c *Client) post(ctx context.Context, path, idempotencyKey string, body, into any) error {
	data, raw := body.(rawBody)
	if body != nil && !raw {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return fault.Wrap(fault.Invalid, "the request cannot be written as JSON", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", idempotencyKey)
	}
	return c.do(req, into)
}

func (c *Client) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	return c.do(req, into)
}

// do sends and decodes. Which writes have happened when it fails on the way is
// not known.
func (c *Client) do(req *http.Request, into any) error {
	resp, err := c.http.Do(req)
	if err != nil {
		return c.away(req, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 400 {
		return fault.FromResponse(resp)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return c.away(req, err)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fault.Wrap(fault.Unavailable, "the task database's answer is not understood", err)
	}
	return nil
}

// away is the error of a call that did not come through.
func (c *Client) away(req *http.Request, err error) error {
	if ctxErr := req.Context().Err(); ctxErr != nil {
		return fmt.Errorf("call %s: %w", req.URL.Path, ctxErr)
	}
	return fault.Wrap(fault.Unavailable, "the task database cannot be reached", err).WithRetryAfter(time.Second)
}
