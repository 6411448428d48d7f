package fault

import (
	"math"
	"time"
)

// Outcome is what came of one of several things that were asked for in one
// request, each of which succeeds or fails by itself. The zero value is success.
type Outcome struct {
	Problem *Problem `json:"problem,omitempty"`
	// RetryAfter is what the header of that name would say, in seconds.
	RetryAfter int `json:"retryAfter,omitempty"`
}

// OutcomeOf makes the outcome of err, nil for success, for a request path and ID.
// Only public text goes into it.
func OutcomeOf(err error, instance, requestID string) Outcome {
	if err == nil {
		return Outcome{}
	}
	p := ProblemOf(err, instance, requestID)
	return Outcome{Problem: &p, RetryAfter: int(math.Ceil(As(err).RetryAfter.Seconds()))}
}

// Err turns the outcome back into the error that it was, nil for success.
func (o Outcome) Err() error {
	if o.Problem == nil {
		return nil
	}
	e := &Error{Kind: FromStatus(o.Problem.Status), RetryAfter: time.Duration(max(o.RetryAfter, 0)) * time.Second}
	o.Problem.into(e, o.Problem.Status)
	return e
}
