package taskdb

import (
	"context"
	"fmt"
	"net/http"
)

// Delete implements [Removals].
func (c *Client) Delete(ctx context.Context, id string) (r Removed, err error) {
	if CheckID(id) != nil {
		return r, NotFound(id)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, c.base+"/tasks/"+id, nil)
	if err != nil {
		return r, fmt.Errorf("make request: %w", err)
	}
	err = c.do(req, &r)
	return r, err
}

// Purge implements [Removals]. A repeat removes others, which does no harm: what
// the first one's lost answer named are blobs without a task.
func (c *Client) Purge(ctx context.Context, r Retention) ([]Removed, error) {
	var l removedList
	err := c.post(ctx, "/purge", "", r, &l)
	return l.Removed, err
}
