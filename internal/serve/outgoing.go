package serve

import "net/http"

// Outgoing returns a RoundTripper that adds what every call between services
// carries: the cluster token and the request's ID.
func Outgoing(next http.RoundTripper, token string) http.RoundTripper {
	return &outgoing{next: next, token: token}
}

type outgoing struct {
	next  http.RoundTripper
	token string
}

// RoundTrip clones the request's header, as a RoundTripper must not change it.
func (o *outgoing) RoundTrip(r *http.Request) (*http.Response, error) {
	id := RequestID(r.Context())
	if o.token == "" && id == "" {
		return o.next.RoundTrip(r)
	}
	r2 := *r
	r2.Header = r.Header.Clone()
	if o.token != "" {
		r2.Header.Set("Authorization", "Bearer "+o.token)
	}
	if id != "" {
		r2.Header.Set(HeaderRequestID, id)
	}
	return o.next.RoundTrip(&r2)
}

// CloseIdleConnections passes on what a client asks for.
func (o *outgoing) CloseIdleConnections() {
	if c, ok := o.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
