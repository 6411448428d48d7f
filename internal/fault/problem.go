package fault

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ContentType is the media type of a problem document (RFC 9457).
const ContentType = "application/problem+json"

// typePrefix starts the "type" of every problem document; the kind follows.
const typePrefix = "urn:imagemill:problem:"

// statusClientClosed is the conventional status for a client that went away.
const statusClientClosed = 499

// table is the one mapping between kinds and statuses, used in both
// directions. For a status that several kinds share, the first row wins on the
// way back, unless the problem document names the kind.
var table = []struct {
	kind   Kind
	status int
	title  string
}{
	{Invalid, http.StatusBadRequest, "Bad request"},
	{Unauthenticated, http.StatusUnauthorized, "Not authenticated"},
	{Forbidden, http.StatusForbidden, "Forbidden"},
	{NotFound, http.StatusNotFound, "Not found"},
	{MethodNotAllowed, http.StatusMethodNotAllowed, "Method not allowed"},
	{Timeout, http.StatusRequestTimeout, "Request timed out"},
	{Conflict, http.StatusConflict, "Conflict"},
	{TooLarge, http.StatusRequestEntityTooLarge, "Too large"},
	{Unsupported, http.StatusUnsupportedMediaType, "Unsupported format"},
	{Range, http.StatusRequestedRangeNotSatisfiable, "Range not satisfiable"},
	{Unprocessable, http.StatusUnprocessableEntity, "Cannot be processed"},
	{Overloaded, http.StatusTooManyRequests, "Too many requests"},
	{Canceled, statusClientClosed, "Client closed the request"},
	{Internal, http.StatusInternalServerError, "Internal error"},
	{Unavailable, http.StatusServiceUnavailable, "Unavailable"},
	{Unavailable, http.StatusBadGateway, "Unavailable"},
	{DeadlineExceeded, http.StatusGatewayTimeout, "No answer in time"},
	{StorageFull, http.StatusInsufficientStorage, "Storage is full"},
}

// Status gives the HTTP status of a kind; 500 for an unknown one.
func Status(kind Kind) int {
	for _, row := range table {
		if row.kind == kind {
			return row.status
		}
	}
	return http.StatusInternalServerError
}

// FromStatus gives the kind of an HTTP status. An unknown 4xx is Invalid,
// anything else unknown is Internal.
func FromStatus(status int) Kind {
	for _, row := range table {
		if row.status == status {
			return row.kind
		}
	}
	if status >= 400 && status < 500 {
		return Invalid
	}
	return Internal
}

// Problem is the RFC 9457 document that every service answers errors with.
type Problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	Instance  string `json:"instance,omitempty"`
	RequestID string `json:"requestId,omitempty"`
	Field     string `json:"field,omitempty"`
	State     string `json:"state,omitempty"`
	ID        string `json:"id,omitempty"`
}

// ProblemOf makes the document of err for a request path and ID. Only public
// text goes into it.
func ProblemOf(err error, instance, requestID string) Problem {
	e := As(err)
	p := Problem{
		Type: typePrefix + string(e.Kind), Title: "Internal error", Status: Status(e.Kind), Detail: e.Public,
		Instance: instance, RequestID: requestID, Field: e.Field, State: e.State, ID: e.ID,
	}
	for _, row := range table {
		if row.kind == e.Kind {
			p.Title = row.title
			break
		}
	}
	return p
}

// maxProblemBytes bounds what is read of an error response.
const maxProblemBytes = 64 << 10

// FromResponse turns a response with a status of 400 or more back into an
// error. It reads a bounded part of the body and does not close it. A body
// that is no problem document becomes a private cause.
func FromResponse(resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProblemBytes))
	if err != nil {
		return Wrap(FromStatus(resp.StatusCode), "", fmt.Errorf("read error response %d: %w", resp.StatusCode, err))
	}
	e := &Error{Kind: FromStatus(resp.StatusCode), RetryAfter: retryAfter(resp.Header.Get("Retry-After"))}
	var p Problem
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if mediaType != ContentType || json.Unmarshal(body, &p) != nil {
		e.Public = http.StatusText(resp.StatusCode)
		e.Err = fmt.Errorf("status %d: %.200q", resp.StatusCode, body)
		return e
	}
	p.into(e, resp.StatusCode)
	return e
}

// into takes over what the document says; its kind only where that has the status.
func (p Problem) into(e *Error, status int) {
	if k, ok := strings.CutPrefix(p.Type, typePrefix); ok && Status(Kind(k)) == status {
		e.Kind = Kind(k)
	}
	e.Public, e.Field, e.State, e.ID = p.Detail, p.Field, p.State, p.ID
}

// retryAfter reads the seconds form of a Retry-After header.
func retryAfter(v string) time.Duration {
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(n) * time.Second
}
