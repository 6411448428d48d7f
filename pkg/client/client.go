package client

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config is what a client is set by. Only URL is needed.
type Config struct {
	// URL of the frontend, such as http://127.0.0.1:8080. A path in it is kept.
	URL string
	// APIKey is sent as a bearer token; "" sends none.
	APIKey string
	// HTTPClient sends the requests; nil stands for one of the client's own. Its
	// Timeout, if it has one, must be above Poll and bounds whole up- and downloads.
	HTTPClient *http.Client
	// Retries is how often a call that failed in passing is repeated: 0 stands for
	// 2, a negative number for never.
	Retries int
	// Backoff is the pause before the first repeat; it doubles with each, up to
	// MaxPause. 0 stands for 200 ms.
	Backoff time.Duration
	// MaxPause is the longest pause. A server that asks for a longer one with
	// Retry-After is not asked again. 0 stands for 30 s.
	MaxPause time.Duration
	// Poll is how long one request of Wait waits, 0 to 60 s. 0 stands for 30 s.
	Poll time.Duration
}

// maxPoll is the longest wait that the server accepts.
const maxPoll = 60 * time.Second

// Client talks to one frontend. It is safe for concurrent use.
type Client struct {
	cfg  Config
	base string
	http *http.Client
}

// New checks the configuration and makes a client. It connects to nothing.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("client: URL: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("client: URL: %q is not of the form http://host:port", cfg.URL)
	}
	if cfg.Backoff < 0 || cfg.MaxPause < 0 {
		return nil, errors.New("client: Backoff, MaxPause: must not be negative")
	}
	if cfg.Poll < 0 || cfg.Poll > maxPoll {
		return nil, fmt.Errorf("client: Poll: %s is outside 0s to %s", cfg.Poll, maxPoll)
	}
	cfg.Retries = orDefault(cfg.Retries, 2)
	cfg.Backoff = orDefault(cfg.Backoff, 200*time.Millisecond)
	cfg.MaxPause = orDefault(cfg.MaxPause, 30*time.Second)
	cfg.Poll = orDefault(cfg.Poll, 30*time.Second)
	c := &Client{cfg: cfg, base: strings.TrimRight(u.String(), "/"), http: cfg.HTTPClient}
	if c.http == nil {
		c.http = &http.Client{Transport: newTransport()}
	}
	return c, nil
}

// orDefault gives v, or fallback for zero.
func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// newTransport bounds every step but the body, whose length nobody knows.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		// Above the longest poll.
		ResponseHeaderTimeout: 2 * time.Minute,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   64,
		ForceAttemptHTTP2:     true,
	}
}

// Close closes connections that are idle. The client stays usable.
func (c *Client) Close() { c.http.CloseIdleConnections() }
