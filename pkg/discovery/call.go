package discovery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"time"
)

const (
	// maxBroken is how often an idempotent request is repeated after it may have
	// been carried out: a request that kills whoever takes it must end somewhere.
	maxBroken = 3
	// maxStale is how many connections that an instance had closed unseen may be
	// met in one request before they are held against the instance.
	maxStale = 3
)

var errNotCarriedOut = errors.New("instance takes no new requests")

// call is one request on its way through the instances of a service.
type call struct {
	p     *pool
	req   *http.Request
	body  requestBody // nil when the request has none
	tried []*member   // in this round

	broken, stale int
	held          *http.Response // a 502 or 503 to return if nothing better comes
	last          error          // of the last attempt that failed
	giveUp        time.Duration  // in time of the pool; 0 until the first wait
	pauses        int
}

func newCall(t *Transport, p *pool, req *http.Request) (*call, error) {
	body, err := newReplayBody(req, t.cfg.ReplayWindow)
	return &call{p: p, req: req, body: body}, err
}

// run tries instances in rounds, each of them once per round, with pauses between
// the rounds, until one attempt settles the request or patience ends.
func (c *call) run() (*http.Response, error) {
	defer func() {
		if c.body != nil {
			c.body.release()
		}
	}()
	for {
		v := c.p.view.Load()
		m := v.pick(c.tried, c.p.now())
		if m == nil {
			if c.held != nil {
				return c.held, nil
			}
			if err := c.wait(v); err != nil {
				return nil, err
			}
			c.tried = c.tried[:0]
			continue
		}
		steps := &trail{}
		resp, err := c.attempt(m, steps)
		if !c.again(m, resp, err, steps) {
			return c.settle(resp, err)
		}
	}
}

// settle chooses what the caller gets: an answer that was passed by is better than
// an error.
func (c *call) settle(resp *http.Response, err error) (*http.Response, error) {
	if err != nil && c.held != nil && c.req.Context().Err() == nil {
		return c.held, nil
	}
	return resp, err
}

// attempt sends the request to one member. Its response counts as outstanding
// until the body ends.
func (c *call) attempt(m *member, steps *trail) (*http.Response, error) {
	a := c.begin(m)
	out := c.req.WithContext(httptrace.WithClientTrace(a.ctx, steps.trace()))
	u := *c.req.URL
	u.Scheme, u.Host = m.base.Scheme, m.base.Host
	out.URL = &u
	if out.Host == c.req.URL.Host {
		out.Host = "" // the service's name means nothing to the instance
	}
	if c.body != nil {
		out.Body = c.body.attempt()
	}
	m.outstanding.Add(1)
	start := time.Now()
	resp, err := m.rt.RoundTrip(out)
	if gaveUp := a.end(err == nil); gaveUp != nil {
		if err == nil {
			_ = resp.Body.Close() // it came while the attempt was being given up
		}
		err = gaveUp
	}
	if err != nil {
		a.release()
		m.outstanding.Add(-1)
		return nil, err
	}
	c.p.observer.Answered(m.in, resp.Header, time.Since(start))
	resp.Request = c.req // redirects are relative to the service
	resp.Body = countBody(c.req.Context(), a, resp.Body)
	return resp, nil
}

// wait pauses before the next round. It ends early when the set changes, and with
// an error when patience or the request's own time is over.
func (c *call) wait(v *view) error {
	now := c.p.now()
	if c.giveUp == 0 {
		c.giveUp = now + c.p.cfg.Patience
	}
	left := c.giveUp - now
	if left <= 0 {
		return c.noInstance(nil)
	}
	pause := c.p.cfg.RetryMax
	if c.pauses < 16 {
		pause = min(pause, c.p.cfg.RetryMin<<c.pauses)
	}
	c.pauses++
	timer := time.NewTimer(min(left, pause-rand.N(pause/2+1)))
	defer timer.Stop()
	select {
	case <-c.req.Context().Done():
		return c.noInstance(context.Cause(c.req.Context()))
	case <-v.changed:
	case <-timer.C:
	}
	return nil
}

// noInstance says why the request ends: the last attempt's error, and the end of
// the caller's own patience if it came first.
func (c *call) noInstance(ended error) error {
	reason := c.last
	switch {
	case reason == nil && ended == nil:
		return fmt.Errorf("%w of %s: none known", ErrNoInstance, c.p.service)
	case reason == nil:
		return fmt.Errorf("%w of %s: none known: %w", ErrNoInstance, c.p.service, ended)
	case ended == nil:
		return fmt.Errorf("%w of %s: %w", ErrNoInstance, c.p.service, reason)
	}
	return fmt.Errorf("%w of %s: %w: %w", ErrNoInstance, c.p.service, ended, reason)
}
