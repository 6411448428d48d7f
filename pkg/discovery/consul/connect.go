package consul

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/api"
)

// Why a query that was parked is given up.
var (
	errNodeLeft = errors.New("the registry's node has been left")
	errBroken   = errors.New("the connection to the registry broke")
	errNoAnswer = errors.New("no answer from the registry when it was due")
)

// connect makes the client, on that of the caller if there is one.
func (r *Registry) connect(given *http.Client) error {
	r.http = &http.Client{}
	if given != nil {
		*r.http = *given
	}
	if r.http.Transport == nil {
		secure, err := r.cfg.TLS.config()
		if err != nil {
			return err
		}
		r.http.Transport = newTransport(r.cfg, secure)
	}
	var err error
	if r.nodes, err = newNodes(r.http.Transport, r.cfg.addresses(), r.log); err != nil {
		return err
	}
	r.http.Transport = r.nodes
	r.api, err = api.NewClient(&api.Config{
		Address: r.cfg.Address, Token: r.cfg.Token, Datacenter: r.cfg.Datacenter, HttpClient: r.http,
	})
	return err
}

// newTransport has a connection for every parked poll, and no limit on how long
// an answer may take: each call has its own deadline. A peer that vanished without
// a word is found out by the kernel's probes within half a minute.
func newTransport(cfg Config, secure *tls.Config) *http.Transport {
	dialer := &net.Dialer{
		Timeout:         cfg.CallTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	return &http.Transport{
		DialContext:         dialer.DialContext,
		TLSClientConfig:     secure,
		TLSHandshakeTimeout: cfg.CallTimeout,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     90 * time.Second,
	}
}

// callTime bounds a turn of keeping something announced.
func (r *Registry) callTime() time.Duration {
	return min(r.cfg.CallTimeout, max(r.cfg.TTL/3, 500*time.Millisecond))
}

// parked derives the context of a query that the registry may hold open for so
// long. It ends by the slack later than the answer is due (a Consul adds up to a
// sixteenth to the wait, so that not all polls end together), when another node of
// the registry is gone over to, and when its connection broke: http.Transport would
// send it again, to a registry that may have begun to count anew, where it would
// wait for an index that is far away.
func (r *Registry) parked(ctx context.Context, wait, slack time.Duration) (context.Context, context.CancelFunc) {
	ctx, abandon := context.WithCancelCause(ctx)
	stop := context.AfterFunc(r.nodes.staying(), func() { abandon(errNodeLeft) })
	var conns atomic.Int64
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		if conns.Add(1) > 1 {
			abandon(errBroken)
		}
	}})
	ctx, cancel := context.WithTimeoutCause(ctx, wait+wait/16+slack, errNoAnswer)
	return ctx, func() { stop(); cancel(); abandon(nil) }
}
