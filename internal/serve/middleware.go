package serve

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
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

type requestIDKey struct{}

// RequestID gives the ID of the request that ctx belongs to, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// WithRequestID returns a context whose outgoing calls carry the ID.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
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
		c.SetRequest(r.WithContext(WithRequestID(r.Context(), id)))
		c.Response().Header().Set(HeaderRequestID, id)
		if !s.app.Public {
			c.Response().Header().Set(HeaderService, s.app.Service)
		}
		err := s.admit(c)
		if err == nil {
			guardSmallBody(c, s.cfg.ReadTimeout)
			err = protect(next, c)
		}
		if err != nil {
			s.writeError(c, err)
		}
		s.observe(c, start, err)
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
			err = fault.Wrap(fault.Internal, "something went wrong on our side; the request ID finds it in the log",
				fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	return next(c)
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

// observe counts the request and logs it: failures of ours as errors, refusals
// and public requests as info, the rest for debugging only.
func (s *Server) observe(c echo.Context, start time.Time, err error) {
	status, took := c.Response().Status, time.Since(start)
	s.metrics.observe(c, status, took)
	level := slog.LevelDebug
	switch {
	case status >= 500 && status != http.StatusServiceUnavailable && status != http.StatusInsufficientStorage:
		level = slog.LevelError
	case status >= 400 || s.app.Public:
		level = slog.LevelInfo
	}
	if operatingPath(c.Request().URL.Path) {
		level = slog.LevelDebug
	}
	ctx := c.Request().Context()
	if !s.app.Log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", c.Request().Method), slog.String("path", c.Request().URL.Path),
		slog.Int("status", status), slog.Int64("bytes", c.Response().Size),
		slog.Duration("took", took), slog.String("requestId", RequestID(ctx)),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	s.app.Log.LogAttrs(ctx, level, "request", attrs...)
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
