package imagemaster

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"imagemill/services/taskdb"
)

// List gives a page of an owner's images.
func (c *Client) List(ctx context.Context, owner, state, after string, limit int) (l Listing, err error) {
	q := page(after, limit)
	q.Set("state", state)
	err = c.care(ctx, http.MethodGet, "/images?"+q.Encode(), owner, "", &l)
	return l, err
}

// Cancel ends an owner's image.
func (c *Client) Cancel(ctx context.Context, owner, id string) (Status, error) {
	return c.change(ctx, owner, id, "cancel")
}

// Retry lets an owner's image be worked again.
func (c *Client) Retry(ctx context.Context, owner, id string) (Status, error) {
	return c.change(ctx, owner, id, "retry")
}

func (c *Client) change(ctx context.Context, owner, id, what string) (st Status, err error) {
	if err := checkID(id); err != nil {
		return st, err // nor may it become part of a path
	}
	err = c.care(ctx, http.MethodPost, "/images/"+id+"/"+what, owner, id+"-"+what, &st)
	return st, err
}

// RetryFailed retries a page of an owner's failed images.
func (c *Client) RetryFailed(ctx context.Context, owner, after string, limit int) (r taskdb.Retries, err error) {
	err = c.care(ctx, http.MethodPost, "/images/retry?"+page(after, limit).Encode(), owner, "retry-failed", &r)
	return r, err
}

func page(after string, limit int) url.Values {
	q := url.Values{}
	if after != "" {
		q.Set("after", after)
	}
	if limit != 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return q
}

// care makes a call of an owner. All are safe to repeat, which the Idempotency-Key
// tells the transport.
func (c *Client) care(ctx context.Context, method, path, owner, idempotencyKey string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, http.NoBody)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	if owner != "" {
		req.Header.Set(headerOwner, owner)
	}
	if idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", idempotencyKey)
	}
	return c.do(req, http.StatusOK, into)
}

// Delete removes an owner's image.
func (c *Client) Delete(ctx context.Context, owner, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, c.base+"/images/"+id, http.NoBody)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	if owner != "" {
		req.Header.Set(headerOwner, owner)
	}
	return c.doInto(req, nil, http.StatusNoContent)
}
