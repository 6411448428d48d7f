package kvstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"imagemill/internal/serve"
)

// httpError is an answer in Consul's form: a status and a line of plain text.
type httpError struct {
	status int
	text   string
}

// Error gives the line that the client sees.
func (e *httpError) Error() string { return e.text }

func badRequest(format string, args ...any) error {
	return &httpError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// consulError is what Consul answers with 500 though the client is at fault.
func consulError(format string, args ...any) error {
	return &httpError{http.StatusInternalServerError, fmt.Sprintf(format, args...)}
}

// call is one request with its parsed query.
type call struct {
	s *Service
	w http.ResponseWriter
	r *http.Request
	q url.Values

	// begun is when the request came in.
	begun time.Time

	napState
	// relayState is for what is passed on to another node.
	relayState
}

func (c *call) ctx() context.Context { return c.r.Context() }

// has reports whether a parameter is there, even without a value.
func (c *call) has(name string) bool { return c.q.Has(name) }

// rest gives the decoded path behind a prefix: a key, or an ID. Echo's own
// parameters are not used, as they differ for escaped and plain paths.
func (c *call) rest(prefix string) string { return strings.TrimPrefix(c.r.URL.Path, prefix) }

// number reads a parameter as Consul's unsigned decimal; 0 where it is missing.
func (c *call) number(name string) (uint64, error) {
	if !c.has(name) {
		return 0, nil
	}
	n, err := strconv.ParseUint(c.q.Get(name), 10, 64)
	if err != nil {
		return 0, consulError("%v", err)
	}
	return n, nil
}

// known refuses a request for another datacenter. As in Consul, that is the last
// thing to be looked at before the request is carried out.
func (c *call) known() error {
	if dc := c.q.Get("dc"); dc != "" && dc != c.s.cfg.Datacenter {
		return consulError("No path to datacenter")
	}
	return nil
}

// Routes adds the Consul API. Every route answers errors in Consul's plain
// text. Reads may be repeated freely; of the writes, KV PUT without parameters,
// DELETE, session renew and destroy may be repeated, the others may not.
func (s *Service) Routes(e *echo.Echo) {
	get, put := []string{http.MethodGet}, []string{http.MethodPut}
	handlers := map[string]echo.HandlerFunc{}
	for _, route := range []struct {
		path    string
		methods []string
		handle  func(*call) error
	}{
		{"/v1/kv/*", []string{http.MethodGet, http.MethodPut, http.MethodDelete}, s.handleKV},
		{"/v1/txn", put, s.handleTxn},
		{"/v1/session/create", put, s.sessionCreate},
		{"/v1/session/destroy/*", put, s.sessionDestroy},
		{"/v1/session/renew/*", put, s.sessionRenew},
		{"/v1/session/info/*", get, s.sessionInfo},
		{"/v1/session/node/*", get, s.sessionNode},
		{"/v1/session/list", get, s.sessionList},
		{"/v1/status/leader", get, s.statusLeader},
		{"/v1/status/peers", get, s.statusPeers},
		{"/v1/agent/self", get, s.agentSelf},
		{"/v1/agent/members", get, s.agentMembers},
		{"/v1/agent/leave", put, s.agentLeave},
		{"/v1/agent/force-leave/*", put, s.agentForceLeave},
		{standingPath, get, s.standing},
	} {
		h := s.adapt(route.methods, route.handle)
		e.Any(route.path, h)
		e.RouteNotFound(route.path, h) // methods that nobody has heard of
		handlers[route.path] = h
	}
	for _, folder := range folders() {
		e.Any(folder, func(c echo.Context) error { return redirect(c, folder+"/") })
	}
	e.RouteNotFound("/*", func(c echo.Context) error {
		if h := handlers[c.Request().URL.Path]; h != nil {
			return h(c)
		}
		return unknownPath(c)
	})
}

// Handler gives the API on its own, without the operating endpoints and checks
// of internal/serve.
func (s *Service) Handler() http.Handler {
	e := echo.New()
	s.Routes(e)
	return e
}

// adapt is the one place that refuses paths and methods, parses the query, and
// writes and logs errors.
func (s *Service) adapt(methods []string, handle func(*call) error) echo.HandlerFunc {
	allow := strings.Join(append([]string{http.MethodOptions}, methods...), ",")
	return func(ec echo.Context) error {
		w, r := ec.Response(), ec.Request()
		if refused, err := misplaced(ec); refused {
			return err
		}
		// Every answer of Consul's API says so.
		w.Header()["Vary"] = []string{"Accept-Encoding"}
		w.Header()["X-Consul-Default-Acl-Policy"] = []string{"allow"}
		q, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return nil
		}
		// DESIGN promises POST on keys; Consul does not know it, and shows it to nobody.
		allowed := slices.Contains(methods, r.Method) || len(methods) > 1 && r.Method == http.MethodPost
		if !allowed {
			w.Header().Set("Allow", allow)
		}
		c := &call{s: s, w: w, r: r, q: q, begun: time.Now(), napState: napState{awake: s.parkAfter, parks: true}}
		switch {
		case allowed:
			if err = s.dispatch(c, handle); errors.Is(err, errPark) {
				if parked := serve.Park(ec, s.nap(c, handle)); parked != nil {
					return parked
				}
				err = s.stay(c, handle)
			}
		case r.Method == http.MethodOptions:
			w.WriteHeader(http.StatusOK)
		default:
			err = &httpError{http.StatusMethodNotAllowed, fmt.Sprintf("method %s not allowed", r.Method)}
		}
		if err != nil && !w.Committed {
			s.writeError(c, err)
		}
		return nil
	}
}

func (s *Service) writeError(c *call, err error) {
	var he *httpError
	switch {
	case errors.As(err, &he):
	case errors.Is(err, ErrNoLeader):
		he = &httpError{http.StatusInternalServerError, ErrNoLeader.Error()}
	case c.ctx().Err() != nil:
		return // nobody is there to read it
	default:
		s.log.Error("request failed", "method", c.r.Method, "path", c.r.URL.Path, "error", err)
		he = &httpError{http.StatusInternalServerError, err.Error()}
	}
	c.send(he.status, "text/plain; charset=utf-8", []byte(he.text))
}
