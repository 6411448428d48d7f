package imagemaster

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"imagemill/internal/fault"
	"imagemill/internal/serve"
)

// finishedList and finishedAnswer are the bodies of POST /workFinished/all and of
// its answer.
type (
	finishedList struct {
		Finished []FinishedWork `json:"finished"`
	}
	finishedAnswer struct {
		Outcomes []fault.Outcome `json:"outcomes"`
	}
)

// allFinished takes the results of several tasks. It answers 200 whatever came of
// them: each has its own outcome.
func (s *Service) allFinished(c echo.Context) error {
	var b finishedList
	if err := serve.Decode(c, &b); err != nil {
		return err
	}
	if len(b.Finished) < 1 || len(b.Finished) > MaxFinished {
		return fault.Newf(fault.Invalid, "must be 1 to %d", MaxFinished).WithField("finished")
	}
	ctx := c.Request().Context()
	answer := finishedAnswer{Outcomes: make([]fault.Outcome, len(b.Finished))}
	for i, err := range s.AllFinished(ctx, b.Finished...) {
		answer.Outcomes[i] = fault.OutcomeOf(err, c.Request().URL.Path, serve.RequestID(ctx))
	}
	return c.JSON(http.StatusOK, answer)
}
