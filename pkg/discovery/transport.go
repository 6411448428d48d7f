package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
)

// NotCarriedOutHeader on a 503 says that the server has refused the request
// without carrying out any of it, as one that is about to stop does. Such a
// request goes to the next instance whatever its method.
const NotCarriedOutHeader = "Imagemill-Not-Carried-Out"

// IdempotencyHeader on a request says that the server recognises a repeat, so that
// one may be made whatever the method.
const IdempotencyHeader = "Idempotency-Key"

var (
	// ErrStranger is for a RoundTripper of TransportDeps.PerInstance to wrap, where
	// the answer came from somebody else, who has the address now: the request has
	// not reached the service, and goes to the next instance.
	ErrStranger = errors.New("answered by a stranger")
	// ErrNoInstance is wrapped by the error of a request that no instance took for
	// as long as it was willing to wait. It has not been carried out.
	ErrNoInstance = errors.New("no live instance")
	// ErrUnknownService is wrapped by the error of a request whose host is not
	// among the services, when there is nobody else to give it to.
	ErrUnknownService = errors.New("unknown service")
)

// Transport is an http.RoundTripper for which http://name/… means any live
// instance of the service. Each request goes to the instance with the least
// requests outstanding: a request counts until its response's body is closed or
// read to the end.
//
// What happens when an instance fails depends on what it may have done:
//
//   - A request that never reached anybody (no connection, nothing written,
//     refused with NotCarriedOutHeader, or answered by a stranger) goes to the next instance; when all have
//     been tried it waits and tries again, up to TransportConfig.Patience, then
//     fails with ErrNoInstance.
//   - A request that may have been carried out (the connection broke after
//     sending) is repeated only if it is idempotent: GET, HEAD, OPTIONS, PUT,
//     DELETE, or with IdempotencyHeader. Otherwise the caller gets the error.
//   - An instance that leaves requests without an answer for TransportConfig.Silence
//     is asked for a sign of life, at ProbePath, since a request may be a long poll
//     that rightly waits. If nothing comes back, the instance hangs: idempotent
//     requests that wait for it go to another one, if one is in good standing, and
//     new ones avoid it until it answers. Other requests go on waiting until their
//     own deadlines: they may have been carried out, and a process that was only
//     paused will answer. WithAttemptTimeout is for callers who know better.
//   - A plain 502 or 503 is passed by for another instance if the request is
//     idempotent and there is one; otherwise it is the caller's response.
//
// In each case the body must be there to send again: absent, with GetBody, not
// read yet, or read no further than TransportConfig.ReplayWindow. A body that says
// that it is no longer than that is read whole before it is sent, unless it has an
// Expect header. An instance that failed is avoided for a while, but is better
// than none.
//
// A Transport knows no instance until Run is called. After Run it goes on with the
// last sets. It is safe for concurrent use.
type Transport struct {
	reg   Registry
	cfg   TransportConfig
	base  http.RoundTripper
	log   *slog.Logger
	pools map[string]*pool // fixed, so that it needs no lock
}

var _ http.RoundTripper = (*Transport)(nil)

// NewTransport assembles a Transport; it starts nothing.
func NewTransport(reg Registry, cfg TransportConfig, deps TransportDeps) *Transport {
	t := &Transport{reg: reg, cfg: cfg.withDefaults(), base: deps.Base, log: deps.Log, pools: map[string]*pool{}}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	dial := deps.PerInstance
	if dial == nil {
		dial = func(Instance) http.RoundTripper { return InstanceTransport(cfg) }
	}
	for _, service := range cfg.Services {
		t.pools[service] = newPool(service, t.cfg, dial, t.log)
		if deps.Observer != nil {
			t.pools[service].observer = deps.Observer
		}
	}
	return t
}

// Run watches the services until ctx is done, then drops idle connections and
// returns nil. Requests in flight are left alone.
func (t *Transport) Run(ctx context.Context) error {
	var watches sync.WaitGroup
	for service, p := range t.pools {
		watches.Go(func() { p.listen(ctx) })
		watches.Go(func() {
			for set := range t.reg.Watch(ctx, service) {
				p.update(set)
			}
		})
	}
	<-ctx.Done()
	watches.Wait()
	t.CloseIdleConnections()
	return nil
}

// RoundTrip sends the request to an instance of the service that its URL names as
// host. The scheme in the URL does not matter, the instance's own is used; a host
// with a port is never a service.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	p, ok := t.pools[req.URL.Host]
	if ok {
		c, err := newCall(t, p, req)
		if err != nil {
			return nil, err
		}
		return c.run()
	}
	if t.base != nil {
		return t.base.RoundTrip(req)
	}
	if req.Body != nil {
		_ = req.Body.Close() // a RoundTripper closes it in any case
	}
	return nil, fmt.Errorf("%w %q", ErrUnknownService, req.URL.Host)
}

// Instances is what the Transport sees now: by service, a copy of its set in
// order of ID. A service without instances has an empty set.
func (t *Transport) Instances() map[string][]Instance {
	out := make(map[string][]Instance, len(t.pools))
	for service, p := range t.pools {
		out[service] = CloneSet(p.view.Load().instances)
	}
	return out
}

// Ready tells whether an instance of the service is known. It does not say that it
// answers. For a name that is not among the services it is false.
func (t *Transport) Ready(service string) bool {
	p, ok := t.pools[service]
	return ok && len(p.view.Load().members) > 0
}

// CloseIdleConnections drops the connections that no request uses; it is what
// http.Client.CloseIdleConnections calls.
func (t *Transport) CloseIdleConnections() {
	for _, p := range t.pools {
		for _, m := range p.view.Load().members {
			closeIdle(m.rt)
		}
	}
	if t.base != nil {
		closeIdle(t.base)
	}
}

func closeIdle(rt http.RoundTripper) {
	if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
