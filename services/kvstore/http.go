package kvstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
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
	w http.ResponseWriter
	r *http.Request
	q url.Values
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
		return 0, badRequest("Invalid %s: %v", name, err)
	}
	return n, nil
}

// Routes adds the Consul API. Every route answers errors in Consul's plain
// text. Reads may be repeated freely; of the writes, KV PUT without parameters,
// DELETE, session renew and destroy may be repeated, the others may not.
func (s *Service) Routes(e *echo.Echo) {
	get, put := []string{http.MethodGet}, []string{http.MethodPut}
	for _, route := range []struct {
		path    string
		methods []string
		handle  func(*call) error
	}{
		{"/v1/kv", []string{"GET", "PUT", "POST", "DELETE"}, s.handleKV},
		{"/v1/kv/*", []string{"GET", "PUT", "POST", "DELETE"}, s.handleKV},
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
	} {
		e.Any(route.path, s.adapt(route.methods, route.handle))
	}
}

// Handler gives the API on its own, without the operating endpoints and checks
// of internal/serve.
func (s *Service) Handler() http.Handler {
	e := echo.New()
	s.Routes(e)
	return e
}

// adapt is the one place that parses the query, refuses methods, and writes and
// logs errors.
func (s *Service) adapt(methods []string, handle func(*call) error) echo.HandlerFunc {
	allow := strings.Join(append([]string{"OPTIONS"}, methods...), ",")
	return func(ec echo.Context) error {
		w, r := ec.Response(), ec.Request()
		if r.Method == http.MethodOptions {
			w.Header().Set("Allow", allow)
			w.WriteHeader(http.StatusOK)
			return nil
		}
		c := &call{w: w, r: r, q: r.URL.Query()}
		err := s.known(c)
		if !slices.Contains(methods, r.Method) {
			w.Header().Set("Allow", allow)
			err = &httpError{http.StatusMethodNotAllowed, fmt.Sprintf("method %s not allowed", r.Method)}
		}
		if err == nil {
			err = handle(c)
		}
		if err != nil && !w.Committed {
			s.writeError(c, err)
		}
		return nil
	}
}

// known refuses a request for another datacenter.
func (s *Service) known(c *call) error {
	if dc := c.q.Get("dc"); dc != "" && dc != s.cfg.Datacenter {
		return consulError("No path to datacenter")
	}
	return nil
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
	c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	c.w.WriteHeader(he.status)
	// A client that is gone by now is nobody's concern.
	_, _ = c.w.Write([]byte(he.text))
}

// json answers 200 with v, indented when the client asks for ?pretty.
func (c *call) json(v any) error { return c.jsonStatus(http.StatusOK, v) }

func (c *call) jsonStatus(status int, v any) error {
	var b []byte
	var err error
	if c.has("pretty") {
		b, err = json.MarshalIndent(v, "", "    ")
		b = append(b, '\n')
	} else {
		b, err = json.Marshal(v)
	}
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	c.w.Header().Set("Content-Type", "application/json")
	c.w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	c.w.WriteHeader(status)
	_, _ = c.w.Write(b)
	return nil
}

// meta sets the headers that every read carries. A leader's contact with the
// leader is always now.
func (c *call) meta(index uint64, leads bool) {
	h := c.w.Header()
	h.Set("X-Consul-Index", strconv.FormatUint(max(index, 1), 10))
	c.contact(leads)
}

func (c *call) contact(leads bool) {
	h := c.w.Header()
	h.Set("X-Consul-Knownleader", strconv.FormatBool(leads))
	h.Set("X-Consul-Lastcontact", "0")
}

// parseWait reads a duration as Go writes it; a negative one counts as none.
func parseWait(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, badRequest("Invalid wait time")
	}
	return max(d, 0), nil
}
