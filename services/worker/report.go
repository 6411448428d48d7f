package worker

import (
	"context"
	"errors"
	"time"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/imagemaster"
	"imagemill/services/taskdb"
	"imagemill/services/worker/engine"
)

// lastWords is how long a report may go on once the grace time of a stop is over.
const lastWords = 5 * time.Second

// report tells the master how an attempt ended. The report has a context of its
// own: it is made also when the worker is being stopped, then within lastWords.
func (a *attempt) report(ctx, hand context.Context, result taskdb.Result, err error, lost bool) {
	rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.s.cfg.ReportTime)
	defer cancel()
	hurry := context.AfterFunc(hand, func() { time.AfterFunc(lastWords, cancel) })
	defer hurry()
	switch {
	case lost:
		a.log.Warn("lease lost; the result is dropped")
		a.drop(rctx)
	case err == nil:
		a.s.full.gone()
		a.finished(rctx, result)
	case errors.Is(err, errOthers):
		a.log.Info("another worker can do this, this one cannot; the task is given back")
		a.release(rctx)
	case fault.Is(err, fault.StorageFull) && a.work.Attempt <= maxAttempts:
		a.log.Warn("there is no room; the task is given back", "error", err)
		a.s.full.met(time.Now())
		a.release(rctx)
	case hand.Err() != nil:
		a.log.Info("stopped before the end; the task is given back")
		a.release(rctx)
	default:
		a.failed(rctx, err)
	}
}

func (a *attempt) release(ctx context.Context) {
	_ = a.tell(ctx, "release", func() error {
		return a.s.deps.Master.WorkReleased(ctx, taskdb.Lease{ID: a.work.ID, Attempt: a.work.Attempt})
	})
}

func (a *attempt) finished(ctx context.Context, result taskdb.Result) {
	err := a.tell(ctx, "finish", func() error {
		return a.s.deps.Master.WorkFinished(ctx, imagemaster.FinishedWork{ID: a.work.ID, Result: result})
	})
	switch fault.KindOf(err) {
	case "":
		a.log.Info("finished", "took", time.Since(a.start), "engine", a.inside, "renditions", len(result.Renditions))
	case fault.Conflict, fault.NotFound:
		// Only a clear refusal lets the result go: with any other error it may
		// have been taken.
		a.drop(ctx)
	default:
	}
}

// failed reports an error with the sentence that it has for the user.
func (a *attempt) failed(ctx context.Context, err error) {
	died := engine.Died(err)
	retryable := died || fault.Retryable(err) || fault.Is(err, fault.Canceled)
	reason := fault.As(err).Public
	if reason == "" { // an answer of another's may carry no sentence
		reason = "the image could not be processed"
	}
	a.log.Warn("attempt failed", "error", err, "retryable", retryable, "died", died)
	_ = a.tell(ctx, "fail", func() error {
		return a.s.deps.Master.WorkFailed(ctx, imagemaster.FailedWork{
			ID: a.work.ID, Attempt: a.work.Attempt, Worker: a.s.deps.Instance,
			Reason: reason, Retryable: retryable, Died: died,
		})
	})
}

// drop removes what this attempt may have stored. What fails is left to the
// master's sweeper.
func (a *attempt) drop(ctx context.Context) {
	p, err := names(a.work.Pipeline)
	if err != nil {
		return
	}
	for _, name := range p {
		ref := imagemaster.RenditionRef(a.work.ID, a.work.Attempt, name)
		if err := a.s.deps.Blobs.Delete(ctx, ref); err != nil {
			a.log.Warn("drop rendition; the sweeper will", "key", ref.Key, "error", err)
		}
	}
}

// tell makes a report, and makes it again while the master cannot be reached:
// all reports are safe to repeat. Without an answer in the end, the lease runs
// out and the task is worked again.
func (a *attempt) tell(ctx context.Context, what string, call func() error) error {
	pause := pauseMin
	deadline := time.Now().Add(a.s.cfg.ReportTime)
	for {
		err := call()
		if err == nil || !fault.Retryable(err) || time.Now().Add(pause).After(deadline) || !sleep(ctx, pause) {
			if err != nil {
				a.log.Warn("report "+what, "error", err)
			}
			return err
		}
		pause = min(2*pause, pauseMax)
	}
}

// names gives the rendition names of a pipeline document.
func names(document []byte) ([]string, error) {
	p, err := pipeline.Parse(document)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(p.Renditions))
	for i, r := range p.Renditions {
		out[i] = r.Name
	}
	return out, nil
}
