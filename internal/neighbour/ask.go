package neighbour

import (
	"context"
	"io"
	"net/http"
	"time"

	"imagemill/pkg/discovery"
)

const (
	// askEvery is how often those are asked that have not been heard of since.
	askEvery = time.Minute
	// askTimeout bounds one question.
	askTimeout = 2 * time.Second
)

// Run asks each new instance for its clock, so that a wrong one is said at the
// start and not at the first image, and later those that nobody calls. It ends
// with ctx.
func (w *Watch) Run(ctx context.Context) error {
	tr := discovery.InstanceTransport(discovery.TransportConfig{DialTimeout: askTimeout})
	tr.DisableKeepAlives = true
	hc := &http.Client{Transport: tr, Timeout: askTimeout}
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case in := <-w.fresh:
			w.ask(ctx, hc, in)
		case <-tick.C:
			for _, in := range w.quiet() {
				w.ask(ctx, hc, in)
			}
		}
	}
}

// ask has the date of an answer. An instance that does not answer is the
// Transport's business.
func (w *Watch) ask(ctx context.Context, hc *http.Client, in discovery.Instance) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, in.URL+"/healthz", nil)
	if err != nil {
		return
	}
	start := time.Now()
	resp, err := hc.Do(req)
	if err != nil {
		return
	}
	w.Answered(in, resp.Header, time.Since(start))
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10))
	_ = resp.Body.Close()
}

// quiet gives the instances that have not been heard of for a while.
func (w *Watch) quiet() []discovery.Instance {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.deps.Now()
	var out []discovery.Instance
	for _, p := range w.peers {
		if !p.known || now.Sub(p.looked).Abs() >= askEvery {
			out = append(out, p.in)
		}
	}
	return out
}
