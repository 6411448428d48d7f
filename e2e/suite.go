package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Suite is a running suite as a user sees it.
type Suite interface {
	// URL is where a frontend is reached now. Consecutive calls may name
	// different ones.
	URL() string
}

// Answer is what came back of a call.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// JSON reads the body as an object.
func (a Answer) JSON(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal(a.Body, &v), "body: %.300s", a.Body)
	return v
}

// Text reads one field of the body's object.
func (a Answer) Text(t testing.TB, field string) string {
	t.Helper()
	s, _ := a.JSON(t)[field].(string)
	return s
}

// Client calls a suite, without any repetition of its own.
type Client struct {
	suite Suite
	http  *http.Client
}

// callTimeout bounds one call: more than the longest wait and the longest stop.
const callTimeout = 90 * time.Second

// NewClient makes a client with connections of its own.
func NewClient(s Suite) *Client {
	return &Client{suite: s, http: &http.Client{
		Timeout: callTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}}
}

// HTTPClient makes a client with a limit, for calls past the public API. Its
// connections are closed when the test ends.
func HTTPClient(t testing.TB) *http.Client {
	c := &http.Client{Timeout: callTimeout, Transport: &http.Transport{}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// Close lets go of the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Do makes one call; header is a list of names and values.
func (c *Client) Do(ctx context.Context, method, pathAndQuery string, body io.Reader, header ...string) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.suite.URL()+pathAndQuery, body)
	if err != nil {
		return Answer{}, fmt.Errorf("make request: %w", err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("call %s: %w", pathAndQuery, err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("read answer of %s: %w", pathAndQuery, err)
	}
	return Answer{resp.StatusCode, resp.Header, data}, nil
}

// Must makes one call that has to come through.
func (c *Client) Must(t testing.TB, method, pathAndQuery string, body []byte, header ...string) Answer {
	t.Helper()
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	a, err := c.Do(t.Context(), method, pathAndQuery, r, header...)
	require.NoError(t, err)
	return a
}

// Upload posts an image, which has to be accepted, and gives its ID.
func (c *Client) Upload(t testing.TB, picture []byte, query string) string {
	t.Helper()
	a := c.Must(t, http.MethodPost, "/newImage"+query, picture)
	require.Equal(t, http.StatusAccepted, a.Status, "body: %s", a.Body)
	id := a.Text(t, "id")
	require.NotEmpty(t, id)
	return id
}

// Wait long-polls until the image has reached its end and gives the last status.
func (c *Client) Wait(t testing.TB, id string) Answer {
	t.Helper()
	for {
		a := c.Must(t, http.MethodGet, "/image/isReady?wait=10s&id="+url.QueryEscape(id), nil)
		require.Equal(t, http.StatusOK, a.Status, "body: %s", a.Body)
		if a.Text(t, "state") != "in progress" {
			return a
		}
		require.NoError(t, t.Context().Err())
	}
}

// Finished waits for the image and has it finished.
func (c *Client) Finished(t testing.TB, id string) Answer {
	t.Helper()
	a := c.Wait(t, id)
	require.Equal(t, "finished", a.Text(t, "state"), "status: %s", a.Body)
	return a
}

// Download gets a rendition, which has to be there.
func (c *Client) Download(t testing.TB, id, rendition string) Answer {
	t.Helper()
	a := c.Must(t, http.MethodGet, "/image/get?id="+id+"&rendition="+rendition, nil)
	require.Equal(t, http.StatusOK, a.Status, "body: %.300s", a.Body)
	return a
}
