package consul

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
)

// nodes carries requests to one of several nodes of a registry, and goes over to
// the next one when that fails. It repeats nothing: who asks, asks again. Services
// begin at different nodes, so that all nodes have some.
type nodes struct {
	next http.RoundTripper
	urls []*url.URL
	log  *slog.Logger

	mu      sync.Mutex
	current int
	stay    context.Context // ends when another node is gone over to
	leave   context.CancelFunc
}

// newNodes takes at least one address, all of them checked.
func newNodes(next http.RoundTripper, addresses []string, log *slog.Logger) (*nodes, error) {
	n := &nodes{next: next, log: log, current: rand.IntN(len(addresses))}
	for _, a := range addresses {
		u, err := url.Parse(a)
		if err != nil {
			return nil, err
		}
		n.urls = append(n.urls, u)
	}
	n.stay, n.leave = context.WithCancel(context.Background())
	return n, nil
}

// RoundTrip sends the request to the node in use, whatever host it is for.
func (n *nodes) RoundTrip(req *http.Request) (*http.Response, error) {
	n.mu.Lock()
	node := n.current
	n.mu.Unlock()
	out := *req
	u := *req.URL
	u.Scheme, u.Host = n.urls[node].Scheme, n.urls[node].Host
	out.URL, out.Host = &u, ""
	resp, err := n.next.RoundTrip(&out)
	switch {
	case err != nil && errors.Is(req.Context().Err(), context.Canceled):
		// The caller has lost interest; that says nothing of the node.
	case err != nil:
		n.goOver(node, err.Error())
	case resp.StatusCode >= http.StatusInternalServerError:
		// Among others it is what a node answers that has lost its leader.
		n.goOver(node, resp.Status)
	}
	return resp, err
}

// goOver leaves a node, unless somebody has left it already.
func (n *nodes) goOver(node int, why string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.urls) == 1 || n.current != node {
		return
	}
	n.current = (node + 1) % len(n.urls)
	n.leave()
	n.stay, n.leave = context.WithCancel(context.Background())
	n.log.Info("registry node left", "node", n.urls[node].Host, "next", n.urls[n.current].Host, "reason", why)
}

// staying ends when the node that is in use now is left: what is parked there
// should go along.
func (n *nodes) staying() context.Context {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stay
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (n *nodes) CloseIdleConnections() {
	if c, ok := n.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
