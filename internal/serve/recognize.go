package serve

import (
	"fmt"
	"net/http"

	"imagemill/pkg/discovery"
)

// Recognize returns a maker of RoundTrippers, for discovery.TransportDeps, which
// take no answer but from the service that was asked, in this suite. A registry
// may name an address for some seconds after its service died, and somebody
// else may have it by then: another service, another suite, or a stranger whose
// "404 Not Found" would be taken for "there is no such image".
func Recognize(next func(discovery.Instance) http.RoundTripper) func(discovery.Instance) http.RoundTripper {
	return func(in discovery.Instance) http.RoundTripper {
		return &recognizing{next: next(in), in: in}
	}
}

type recognizing struct {
	next http.RoundTripper
	in   discovery.Instance
}

// RoundTrip fails with discovery.ErrStranger where the answer is not the
// service's own.
func (r *recognizing) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	switch got := resp.Header.Get(HeaderService); {
	case got != r.in.Service:
		err = fmt.Errorf("%w: %s does not say that it is %s", discovery.ErrStranger, r.in.URL, r.in.Service)
	case resp.StatusCode == http.StatusUnauthorized:
		err = fmt.Errorf("%w: %s at %s refuses the cluster token; IMAGEMILL_CLUSTER_TOKEN must be the same everywhere",
			discovery.ErrStranger, r.in.Service, r.in.URL)
	default:
		return resp, nil
	}
	_ = resp.Body.Close()
	return nil, err
}

// CloseIdleConnections passes on what the Transport asks for when an instance is gone.
func (r *recognizing) CloseIdleConnections() {
	if c, ok := r.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
