package imagemaster

import (
	"context"
	"errors"
	"net/http"

	"imagemill/internal/fault"
	"imagemill/internal/together"
)

// MaxFinished bounds the results of one call. It is small, since a result names
// up to a hundred renditions, and a call has at most a megabyte.
const MaxFinished = 16

// AllFinished records 1 to [MaxFinished] results, each as WorkFinished would, and
// gives the outcome of each in their order. A master of a version that does not
// know such calls gets one for each.
func (c *Client) AllFinished(ctx context.Context, all ...FinishedWork) []error {
	if len(all) == 1 {
		return []error{c.WorkFinished(ctx, all[0])}
	}
	outcomes := make([]error, len(all))
	var answer finishedAnswer
	err := c.finish(ctx, all, &answer)
	if err == nil && len(answer.Outcomes) != len(all) {
		err = fault.Wrap(fault.Unavailable, "the imagemaster's answer is not understood", errors.New("outcomes are missing"))
	}
	// A task's own NotFound is an outcome; a body that is too large is one of many.
	alone := fault.Is(err, fault.NotFound) || fault.Is(err, fault.TooLarge)
	for i := range all {
		switch {
		case alone:
			outcomes[i] = c.WorkFinished(ctx, all[i])
		case err != nil:
			outcomes[i] = err
		default:
			outcomes[i] = answer.Outcomes[i].Err()
		}
	}
	return outcomes
}

func (c *Client) finish(ctx context.Context, all []FinishedWork, into *finishedAnswer) error {
	req, err := c.reporting(ctx, "/workFinished/all", "all-finished", finishedList{all})
	if err != nil {
		return err
	}
	return c.do(req, http.StatusOK, into)
}

// Together is a Client that reports results in the same call as others that come
// at the same moment. Make it with [NewTogether].
type Together struct {
	*Client
	group *together.Group[FinishedWork]
}

// reportsAtOnce is how many such calls are under way at a time, so that one which
// hangs does not hold up all.
const reportsAtOnce = 2

// NewTogether makes such a client of one.
func NewTogether(c *Client) *Together {
	return &Together{c, together.New(MaxFinished, reportsAtOnce, func(ctx context.Context, all []FinishedWork) []error {
		return c.AllFinished(ctx, all...)
	})}
}

// WorkFinished implements [WorkQueue].
func (t *Together) WorkFinished(ctx context.Context, w FinishedWork) error {
	return t.group.Do(ctx, w)[0]
}
