package serve

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"imagemill/internal/fault"
	"imagemill/pkg/discovery"
)

// HeaderService names the service in every answer of an internal server, so
// that a caller knows whom it reached.
const HeaderService = "Imagemill-Service"

// HeaderRequestID carries the ID of one user's request over all hops.
const HeaderRequestID = "X-Request-Id"

type arrivalKey struct{}

// arrival is what a request's context knows of it: its ID, and when it came in.
type arrival struct {
	id    string
	begun time.Time
}

func arrivalOf(ctx context.Context) arrival {
	a, _ := ctx.Value(arrivalKey{}).(arrival)
	return a
}

// RequestID gives the ID of the request that ctx belongs to, or "".
func RequestID(ctx context.Context) string { return arrivalOf(ctx).id }

// WithRequestID returns a context whose outgoing calls carry the ID.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, arrivalKey{}, arrival{id: id})
}

// around is the one middleware of every request: ID, refusal, token, recovery,
// error, measurement, log, in this order.
func (s *Server) around(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		s.inFlight.Add(1)
		defer s.inFlight.Add(-1)
		r := c.Request()
		id := r.Header.Get(HeaderRequestID)
		if !validRequestID(id) {
			id = uuid.NewString()
		}
		c.SetRequest(r.WithContext(context.WithValue(r.Context(), arrivalKey{}, arrival{id: id, begun: start})))
		c.Response().Header().Set(HeaderRequestID, id)
		if !s.app.Public {
			c.Response().Header().Set(HeaderService, s.app.Service)
		}
		err := s.admit(c)
		if err == nil {
			guardSmallBody(c, s.cfg.ReadTimeout)
			err = protect(next, c)
		}
		if errors.Is(err, errParked) {
			return nil
		}
		if err != nil {
			s.writeError(c, err)
		}
		s.report(c.Request().Context(), outcome{
			method: c.Request().Method, path: c.Request().URL.Path, route: c.Path(),
			status: c.Response().Status, size: c.Response().Size, took: time.Since(start), err: err,
		})
		return nil
	}
}

// admit refuses what must not reach a handler.
func (s *Server) admit(c echo.Context) error {
	h := c.Response().Header()
	if s.lingers.Load() {
		h.Set("Connection", "close")
	}
	if operatingPath(c.Request().URL.Path) {
		return nil
	}
	if s.refusing.Load() {
		h.Set(discovery.NotCarriedOutHeader, "1")
		return fault.New(fault.Unavailable, "this instance is stopping; ask another").WithRetryAfter(time.Second)
	}
	if n := s.inFlight.Load(); n > int64(s.cfg.MaxRequests) {
		h.Set(discovery.NotCarriedOutHeader, "1")
		return fault.Newf(fault.Overloaded, "more than %d requests at once", s.cfg.MaxRequests).WithRetryAfter(time.Second)
	}
	if s.app.Public || s.cfg.Token == "" {
		return nil
	}
	if subtle.ConstantTimeCompare([]byte(callerToken(c.Request())), []byte(s.cfg.Token)) != 1 {
		return fault.New(fault.Unauthenticated, "the cluster token is missing or wrong: send it as Authorization: Bearer …")
	}
	return nil
}

// callerToken reads the cluster token as services send it, or as Consul's clients do.
func callerToken(r *http.Request) string {
	if t := r.Header.Get("X-Consul-Token"); t != "" {
		return t
	}
	t, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return t
}

// protect turns a panic of the handler into an error with its stack, but lets
// http.ErrAbortHandler through, which breaks the connection on purpose.
func protect(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // a recovered value, not an error chain
				panic(p)
			}
			err = panicked(p)
		}
	}()
	return next(c)
}

// panicked makes an error of what a handler panicked with.
func panicked(p any) error {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return err
	}
	return fault.Wrap(fault.Internal, "something went wrong on our side; the request ID finds it in the log",
		fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
}

// writeError answers with the problem document of err, unless an answer has begun.
func (s *Server) writeError(c echo.Context, err error) {
	if c.Response().Committed {
		return
	}
	err = fromEcho(err)
	e := fault.As(err)
	if e.RetryAfter > 0 {
		c.Response().Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	status := fault.Status(e.Kind)
	if c.Request().Method == http.MethodHead {
		_ = c.NoContent(status)
		return
	}
	if s.app.PlainErrors {
		_ = c.String(status, e.Public)
		return
	}
	p := fault.ProblemOf(err, c.Request().URL.Path, RequestID(c.Request().Context()))
	c.Response().Header().Set(echo.HeaderContentType, fault.ContentType)
	_ = c.JSON(status, p)
}

// fromEcho gives the router's own errors a kind.
func fromEcho(err error) error {
	var he *echo.HTTPError
	if !errors.As(err, &he) {
		return err
	}
	switch he.Code {
	case http.StatusNotFound:
		return fault.New(fault.NotFound, "no such route")
	case http.StatusMethodNotAllowed:
		return fault.New(fault.MethodNotAllowed, "this route does not know that method; the Allow header names those it knows")
	}
	return fault.Wrap(fault.FromStatus(he.Code), fmt.Sprint(he.Message), he.Internal)
}

// validRequestID accepts 1 to 64 characters that are safe in logs and headers.
func validRequestID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, b := range []byte(id) {
		if !(b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '-' || b == '_' || b == '.') {
			return false
		}
	}
	return true
}
