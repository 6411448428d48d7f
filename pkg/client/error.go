package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ErrDamaged says that a download has not the length or the digest that the
// server announced.
var ErrDamaged = errors.New("the download is damaged")

// Error is an answer of the server with a status of 400 or more.
type Error struct {
	// Status is the HTTP status.
	Status int
	// Kind is the last part of the problem's type, such as "invalid",
	// "not-found", "conflict" or "unavailable"; "" where the answer came from
	// something else than imagemill.
	Kind string
	// Detail says what was wrong and what is allowed, for people.
	Detail string
	// Field is the wrong field or parameter, or "".
	Field string
	// State is the state of the image that the answer speaks of, or "".
	State string
	// ID is the image that the answer speaks of, or "".
	ID string
	// RequestID finds the request in the server's logs.
	RequestID string
	// RetryAfter is how long the server asks to wait; 0 where it says nothing.
	RetryAfter time.Duration
}

// Error gives everything on one line.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "imagemill answered %d", e.Status)
	if e.Field != "" {
		b.WriteString(": " + e.Field)
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + e.RequestID + ")")
	}
	return b.String()
}

// Temporary reports whether the same call may succeed a little later.
func (e *Error) Temporary() bool {
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// IsStatus reports whether err is, or wraps, an [*Error] with the HTTP status.
func IsStatus(err error, status int) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == status
}

const (
	problemType = "application/problem+json"
	kindPrefix  = "urn:imagemill:problem:"
	// maxProblem bounds what is read of an error's body.
	maxProblem = 64 << 10
)

// errorOf reads the answer; it does not close its body.
func errorOf(resp *http.Response) *Error {
	e := &Error{
		Status: resp.StatusCode, Detail: http.StatusText(resp.StatusCode),
		RequestID: resp.Header.Get("X-Request-Id"), RetryAfter: retryAfter(resp.Header.Get("Retry-After"), sent(resp)),
	}
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if mediaType != problemType {
		return e
	}
	var p struct{ Type, Title, Detail, Field, State, ID, RequestID string }
	if json.NewDecoder(io.LimitReader(resp.Body, maxProblem)).Decode(&p) != nil {
		return e
	}
	e.Kind, _ = strings.CutPrefix(p.Type, kindPrefix)
	e.Field, e.State, e.ID = p.Field, p.State, p.ID
	e.Detail = orDefault(p.Detail, orDefault(p.Title, e.Detail))
	e.RequestID = orDefault(p.RequestID, e.RequestID)
	return e
}

// sent is when the server sent the answer, by its own clock: a date that it names
// is to be taken by that.
func sent(resp *http.Response) time.Time {
	if t, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		return t
	}
	return time.Now()
}

// retryAfter reads both forms of the header: seconds, and a date.
func retryAfter(v string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(v); err == nil {
		return max(0, time.Duration(min(n, 1<<30))*time.Second)
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
