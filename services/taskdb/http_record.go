package taskdb

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"imagemill/internal/fault"
	"imagemill/internal/serve"
)

// recordBody and recorded are the bodies of POST /records and of its answer.
type (
	recordBody struct {
		Records []Record `json:"records"`
	}
	recorded struct {
		Outcomes []fault.Outcome `json:"outcomes"`
	}
)

// record carries out several writes. It answers 200 whatever came of them: each
// has its own outcome.
func (s *Service) record(c echo.Context) error {
	var b recordBody
	if err := serve.Decode(c, &b); err != nil {
		return err
	}
	if len(b.Records) < 1 || len(b.Records) > MaxRecords {
		return fault.Newf(fault.Invalid, "must be 1 to %d", MaxRecords).WithField("records")
	}
	ctx := c.Request().Context()
	answer := recorded{Outcomes: make([]fault.Outcome, len(b.Records))}
	for i, err := range RecorderOf(s.store).Record(ctx, b.Records...) {
		answer.Outcomes[i] = fault.OutcomeOf(err, c.Request().URL.Path, serve.RequestID(ctx))
	}
	return c.JSON(http.StatusOK, answer)
}
