package taskdb

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"imagemill/internal/fault"
	"imagemill/internal/serve"
)

// moveBody asks for a state. The attempt is that of the caller's lease; it may
// be left out where the result or the failure names it.
type moveBody struct {
	State   State    `json:"state"`
	Attempt int      `json:"attempt,omitempty"`
	Result  *Result  `json:"result,omitempty"`
	Failure *Failure `json:"failure,omitempty"`
}

// move carries out one move of the table of moves, by the state that it ends
// in. A failure that may be retried can end as notStarted.
func (s *Service) move(c echo.Context) error {
	var b moveBody
	if err := serve.Decode(c, &b); err != nil {
		return err
	}
	t, err := s.carryOut(c.Request().Context(), c.Param("id"), b)
	return reply(c, http.StatusOK, t, err)
}

func (s *Service) carryOut(ctx context.Context, id string, b moveBody) (Task, error) {
	switch b.State {
	case Finished:
		if b.Result == nil {
			return Task{}, fault.New(fault.Invalid, "must be given for the state finished").WithField("result")
		}
		if err := sameAttempt(b.Attempt, &b.Result.Attempt, "result.attempt"); err != nil {
			return Task{}, err
		}
		return s.store.Finish(ctx, id, *b.Result)
	case Failed:
		if b.Failure == nil {
			return Task{}, fault.New(fault.Invalid, "must be given for the state failed").WithField("failure")
		}
		if err := sameAttempt(b.Attempt, &b.Failure.Attempt, "failure.attempt"); err != nil {
			return Task{}, err
		}
		return s.store.Fail(ctx, id, *b.Failure)
	case Cancelled:
		return s.store.Cancel(ctx, id)
	case NotStarted:
		if b.Attempt == 0 {
			return s.store.Retry(ctx, id)
		}
		if err := s.store.Release(ctx, Lease{ID: id, Attempt: b.Attempt}); err != nil {
			return Task{}, err
		}
		return s.store.Get(ctx, id)
	case InProgress:
		return Task{}, fault.New(fault.Invalid, "a task becomes inProgress by POST /claims only").WithField("state")
	}
	_, err := CheckList(b.State, 0)
	return Task{}, err
}

// sameAttempt fills in the inner attempt from the outer one, and refuses two
// that differ.
func sameAttempt(outer int, inner *int, field string) error {
	if *inner == 0 {
		*inner = outer
	}
	if outer != 0 && outer != *inner {
		return fault.Newf(fault.Invalid, "must be %d as the attempt of the request, or left out", outer).WithField(field)
	}
	return nil
}
