package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// Delete removes an image with its original and all results, whatever its state;
// work on it is cancelled. An ID that is unknown, as after a first call whose
// answer was lost, is no error.
func (c *Client) Delete(ctx context.Context, id string) error {
	err := c.repeat(ctx, func() error {
		req, err := c.request(ctx, http.MethodDelete, "/v1/images/"+url.PathEscape(id), nil)
		if err != nil {
			return err
		}
		resp, err := c.send(req, http.StatusNoContent)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
	if err != nil {
		return fmt.Errorf("delete image %s: %w", id, err)
	}
	return nil
}
