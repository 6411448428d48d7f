package fault

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Kind says what sort of failure an error is, for a program to act upon.
type Kind string

// The kinds. Each has one row in the table in problem.go.
const (
	// Internal is a defect or an unexpected failure of ours; the default.
	Internal Kind = "internal"
	// Invalid is a request that can never succeed as it is written.
	Invalid Kind = "invalid"
	// Unauthenticated is a missing or wrong token or key.
	Unauthenticated Kind = "unauthenticated"
	// Forbidden is a known caller without the right.
	Forbidden Kind = "forbidden"
	// NotFound is an object or route that does not exist.
	NotFound Kind = "not-found"
	// MethodNotAllowed is a known route with another method.
	MethodNotAllowed Kind = "method-not-allowed"
	// Timeout is a client that was too slow to send its request.
	Timeout Kind = "request-timeout"
	// Conflict is a state that does not allow the call: a lost lease, an image
	// still in progress, an identifier already taken.
	Conflict Kind = "conflict"
	// TooLarge is a body, or a picture, above a limit.
	TooLarge Kind = "too-large"
	// Unsupported is a body whose format is not known.
	Unsupported Kind = "unsupported-format"
	// Range is a byte range outside the object.
	Range Kind = "range-not-satisfiable"
	// Unprocessable is a well-formed request whose image cannot be processed.
	Unprocessable Kind = "unprocessable"
	// Overloaded is a refusal because a bound is reached; try later.
	Overloaded Kind = "overloaded"
	// Unavailable is a service or neighbour that cannot answer now; try later.
	Unavailable Kind = "unavailable"
	// DeadlineExceeded is a neighbour that did not answer in time.
	DeadlineExceeded Kind = "deadline-exceeded"
	// StorageFull is a disk without room.
	StorageFull Kind = "storage-full"
	// Canceled is a caller that went away; nobody reads the answer.
	Canceled Kind = "canceled"
)

// Error is a failure with a kind and a public sentence. The zero value is not
// useful; make one with [New], [Newf] or [Wrap].
type Error struct {
	Kind Kind
	// Public is the sentence shown to the client: what was wrong and what is
	// allowed. It holds nothing secret.
	Public string
	// Field is the path of the wrong field ("renditions[0].width"), or empty.
	Field string
	// State is the task state that a Conflict or Unprocessable speaks of.
	State string
	// ID is the image that the error speaks of, or empty.
	ID string
	// RetryAfter is how long a client should wait; 0 says nothing.
	RetryAfter time.Duration
	// Err is the private cause, for the log only. It may be nil.
	Err error
}

// Error gives the public sentence and the private cause, for logs.
func (e *Error) Error() string {
	s := e.Public
	if s == "" {
		s = string(e.Kind)
	}
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the private cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a kind with a public sentence.
func New(kind Kind, public string) *Error { return &Error{Kind: kind, Public: public} }

// Newf is [New] with a format. Its arguments become public too.
func Newf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Public: fmt.Sprintf(format, args...)}
}

// Wrap gives err a kind and a public sentence; err itself stays private.
func Wrap(kind Kind, public string, err error) *Error {
	return &Error{Kind: kind, Public: public, Err: err}
}

// WithField names the field that was wrong and returns e.
func (e *Error) WithField(path string) *Error { e.Field = path; return e }

// WithState names the task state that the error speaks of and returns e.
func (e *Error) WithState(state string) *Error { e.State = state; return e }

// WithID names the image that the error speaks of and returns e.
func (e *Error) WithID(id string) *Error { e.ID = id; return e }

// WithRetryAfter says how long the client should wait and returns e.
func (e *Error) WithRetryAfter(d time.Duration) *Error { e.RetryAfter = d; return e }

// As gives the first *Error in err's chain, or one made from what err is:
// a cancelled context is Canceled, an expired one DeadlineExceeded, anything
// else Internal with no public text. As(nil) is nil.
func As(err error) *Error {
	var e *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled):
		return Wrap(Canceled, "the request was cancelled", err)
	case errors.Is(err, context.DeadlineExceeded):
		return Wrap(DeadlineExceeded, "a service behind this one did not answer in time", err)
	}
	return Wrap(Internal, "something went wrong on our side; the request ID finds it in the log", err)
}

// KindOf gives the kind of err as [As] sees it, and "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	return As(err).Kind
}

// Is reports whether err is of the kind.
func Is(err error, kind Kind) bool { return KindOf(err) == kind }

// Retryable reports whether the same call may succeed later without a change:
// the kinds Overloaded, Unavailable, DeadlineExceeded, StorageFull and Internal.
func Retryable(err error) bool {
	switch KindOf(err) {
	case Overloaded, Unavailable, DeadlineExceeded, StorageFull, Internal:
		return true
	default:
		return false
	}
}
