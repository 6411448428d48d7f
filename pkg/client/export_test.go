package client

import (
	"net/http"
	"time"
)

// WaitToContinue lets the client wait for ever for leave to send a body, if it waits
// at all: a machine may stand still for longer than it does by default.
func (c *Client) WaitToContinue() {
	if t, ok := c.http.Transport.(*http.Transport); ok && t.ExpectContinueTimeout > 0 {
		t.ExpectContinueTimeout = time.Hour
	}
}
