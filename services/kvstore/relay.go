package kvstore

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"imagemill/internal/serve"
	"imagemill/pkg/discovery"
)

const (
	// lostGrace is how long an answer to a write is waited for from a node that
	// is not the leader any more.
	lostGrace = time.Second
	// relayTimeout bounds the wait for the answer to what does not block.
	relayTimeout = proposeTimeout + 5*time.Second
)

// newClient makes the client by which nodes reach each other's API.
func (c *cluster) newClient() *http.Client {
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return c.wires.dial(ctx, network, addr)
		},
		MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute, DisableCompression: true,
	}
	return &http.Client{Transport: serve.Outgoing(t, c.cfg.HTTP.Token)}
}

// relay sends a request to the leader and streams its answer back. It fails with
// errRerun where the leader did not carry it out, or where a repeat does no harm,
// and with errUnknown where it may have and a repeat could.
func (s *Service) relay(c *call, to peer, body []byte) error {
	// The body of the answer outlives the guard.
	ctx, cancel := context.WithCancel(c.ctx())
	defer cancel()
	var sent atomic.Bool
	req, err := s.relayed(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { sent.Store(true) },
	}), c, to, body)
	if err != nil {
		return err
	}
	stop := s.guard(ctx, c, to, cancel)
	resp, err := s.node.cluster.http.Do(req)
	stop()
	switch {
	case err == nil:
	case c.ctx().Err() != nil:
		return c.ctx().Err()
	case !sent.Load() || repeatable(c.r):
		return fmt.Errorf("%w: %w", errRerun, err)
	default:
		return fmt.Errorf("%w: %w", errUnknown, err)
	}
	defer func() { _ = resp.Body.Close() }()
	return s.relayAnswer(c, to, resp)
}

// relayed makes the request for the leader. The path goes as it came, byte for byte.
func (s *Service) relayed(ctx context.Context, c *call, to peer, body []byte) (*http.Request, error) {
	base, err := url.Parse(to.api)
	if err != nil {
		return nil, fmt.Errorf("read address of node %s: %w", to.name, err)
	}
	u := *c.r.URL
	u.Scheme, u.Host = base.Scheme, base.Host
	u.RawQuery = s.relayedQuery(c)
	req := (&http.Request{
		Method: c.r.Method, URL: &u, Host: base.Host, Header: http.Header{headerForwarded: {s.cfg.NodeName}},
	}).WithContext(ctx)
	for _, k := range []string{"Accept-Encoding", "Cache-Control", "Content-Type"} {
		if v := c.r.Header[k]; v != nil {
			req.Header[k] = v
		}
	}
	if len(body) > 0 {
		// A length that was not announced is not announced further on either.
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), min(int64(len(body)), c.r.ContentLength)
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	return req, nil
}

// relayedQuery is the query as it came, but a blocking one that is sent again has
// only what is left of its wait, and next to none while this node drains.
func (s *Service) relayedQuery(c *call) string {
	if !c.blocks() {
		return c.r.URL.RawQuery
	}
	// A malformed one has been refused by now.
	wait, err := time.ParseDuration(c.q.Get("wait"))
	if err != nil || wait <= 0 {
		wait = defaultWait
	}
	left := max(min(wait, maxWait)-time.Since(c.begun), time.Millisecond)
	if isClosed(s.draining(c.ctx())) {
		left = time.Millisecond
	}
	q := maps.Clone(c.q)
	q.Set("wait", left.String())
	return q.Encode()
}

// blocks reports whether a request is a blocking query.
func (c *call) blocks() bool {
	index, err := strconv.ParseUint(c.q.Get("index"), 10, 64)
	return c.r.Method == http.MethodGet && err == nil && index > 0
}

// guard cancels a request that has no answer to hope for: its leader leads no
// more, this node drains while a query blocks, or time is up. The returned func
// ends the watch.
func (s *Service) guard(ctx context.Context, c *call, to peer, cancel context.CancelFunc) (stop func()) {
	over, ended := make(chan struct{}), make(chan struct{})
	limit := time.NewTimer(relayTimeout)
	timeUp, draining := limit.C, s.draining(ctx)
	if c.blocks() {
		timeUp = nil
	}
	if !c.blocks() || isClosed(draining) {
		draining = nil
	}
	go func() {
		defer close(ended)
		defer limit.Stop()
		if s.awaitLoss(to, over, timeUp, draining) && !repeatable(c.r) {
			// A leader that has just stepped down still answers what it had in hand.
			limit.Reset(lostGrace)
			select {
			case <-limit.C:
			case <-over:
			}
		}
		if !isClosed(over) {
			cancel()
		}
	}()
	return func() {
		close(over)
		<-ended
	}
}

// awaitLoss waits until a node leads no more, and reports whether it was that,
// and not one of the channels, that ended the wait.
func (s *Service) awaitLoss(to peer, over <-chan struct{}, timeUp <-chan time.Time, draining <-chan struct{}) bool {
	for {
		changed := s.node.cluster.changed.next()
		if now, ok := s.node.cluster.leaderPeer(); !ok || now.id != to.id {
			return true
		}
		select {
		case <-changed:
		case <-timeUp:
			return false
		case <-draining:
			return false
		case <-over:
			return false
		}
	}
}

// relayAnswer passes the leader's answer on, unless it says that nothing was
// carried out.
func (s *Service) relayAnswer(c *call, to peer, resp *http.Response) error {
	switch {
	case resp.Header.Get(serve.HeaderService) != "kvstore":
		return fmt.Errorf("%w: %s does not answer as a kvstore", errRerun, to.api)
	case resp.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%w: %s at %s refuses the cluster token", errRerun, to.name, to.api)
	case resp.Header.Get(discovery.NotCarriedOutHeader) != "" && resp.StatusCode != http.StatusTooManyRequests:
		return fmt.Errorf("%w: %s", errRerun, resp.Status)
	}
	h := c.w.Header()
	for k, v := range resp.Header {
		switch k {
		case "Connection", "Date", serve.HeaderService, serve.HeaderRequestID:
		default:
			h[k] = v
		}
	}
	c.w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(c.w, resp.Body); err != nil {
		// The client must not take half an answer for a whole one.
		panic(http.ErrAbortHandler)
	}
	return nil
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
