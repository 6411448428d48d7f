package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// The states of an image. All but InProgress are its end.
const (
	InProgress = "in progress"
	Finished   = "finished"
	Failed     = "failed"
	Cancelled  = "cancelled"
)

// Status is what the server tells about an image.
type Status struct {
	ID string `json:"id"`
	// State is one of the states above.
	State string `json:"state"`
	// Progress is the share of the work that is done, 0 to 1.
	Progress float64 `json:"progress"`
	// Created and Updated are by the server's clock.
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	// Expires is when the image is removed; zero where it brought no end of its own.
	Expires time.Time `json:"expires"`
	// Attempts counts how often a worker took the image up.
	Attempts int `json:"attempts"`
	// Error says why a failed image failed.
	Error string `json:"error"`
	// Failures are the reasons of all attempts that went wrong, oldest first.
	Failures []string `json:"failures"`
	// Original describes what was uploaded, Renditions what was made of it, in
	// the order of the pipeline and only once it is finished.
	Original   Picture   `json:"original"`
	Renditions []Picture `json:"renditions"`
	// Facts are what the pipeline asked to be told of the original, once the image
	// is finished; nil when it asked for nothing.
	Facts *Facts `json:"facts"`
}

// Facts are by-products of an image. A field that was not asked for, or that the
// image does not have, is empty.
type Facts struct {
	// EXIF is the metadata of the original as text, by the names of the tags.
	EXIF map[string]string `json:"exif"`
	// Colors are up to five colours, "#rrggbb", the most common one first.
	Colors []string `json:"colors"`
	// BlurHash is a short text from which a blurred preview can be drawn.
	BlurHash string `json:"blurhash"`
	// PHash is the perceptual hash: 64 bits as 16 hexadecimal digits. Pictures that
	// look alike differ in few bits.
	PHash string `json:"phash"`
}

// Ended reports whether the image has reached its end.
func (s Status) Ended() bool { return s.State != InProgress }

// Picture describes an original or a rendition.
type Picture struct {
	// Name of a rendition.
	Name string `json:"name"`
	// Format is the short name, such as "jpeg".
	Format      string `json:"format"`
	ContentType string `json:"contentType"`
	// Width and Height in pixels; 0 as long as they are not known.
	Width  int `json:"width"`
	Height int `json:"height"`
	// Size in bytes.
	Size int64 `json:"size"`
	// SHA256 in lower-case hexadecimal.
	SHA256 string `json:"sha256"`
	// URL is where a rendition is downloaded, relative to the server.
	URL string `json:"url"`
}

// Status asks for the status of an image. An unknown one is an [*Error] with
// status 404, a malformed ID one with 400.
func (c *Client) Status(ctx context.Context, id string) (Status, error) {
	st, err := c.status(ctx, id, 0)
	if err != nil {
		return Status{}, fmt.Errorf("get status of %s: %w", id, err)
	}
	return st, nil
}

// Wait waits until an image has reached its end and gives its status then, which
// may be Finished, Failed or Cancelled: that an image failed is no error of
// Wait. It waits for as long as ctx lets it.
func (c *Client) Wait(ctx context.Context, id string) (Status, error) {
	for n := 0; ; n++ {
		asked := time.Now()
		st, err := c.status(ctx, id, c.cfg.Poll)
		if err != nil {
			return Status{}, fmt.Errorf("wait for %s: %w", id, err)
		}
		if st.Ended() {
			return st, nil
		}
		// A server that is stopping answers early; the next one may not be up yet.
		if time.Since(asked) >= c.cfg.Poll/2 {
			n = 0
			continue
		}
		if err := pause(ctx, min(c.backoff(n), time.Second)); err != nil {
			return st, fmt.Errorf("wait for %s: %w", id, err)
		}
	}
}

// status asks, and has the server wait if poll is above 0.
func (c *Client) status(ctx context.Context, id string, poll time.Duration) (st Status, err error) {
	q := url.Values{"id": {id}}
	if poll > 0 {
		q.Set("wait", poll.String())
	}
	err = c.repeat(ctx, func() error {
		req, err := c.request(ctx, http.MethodGet, "/image/isReady", q)
		if err != nil {
			return err
		}
		resp, err := c.send(req, http.StatusOK)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		st = Status{}
		if err := json.NewDecoder(resp.Body).Decode(&st); err != nil {
			return passing{fmt.Errorf("read answer: %w", err)}
		}
		return nil
	})
	return st, err
}
