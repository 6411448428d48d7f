package process

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"imagemill/internal/fault"
	"imagemill/services/worker/engine"
)

// start makes children and offers each to whichever slot needs one; the one
// that nobody needs yet is the spare. All of them are started from one thread,
// because Linux signals a parent's death when the starting thread ends.
func (p *Pool) start(ctx context.Context) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for ctx.Err() == nil {
		cfg := p.cfg
		cfg.Threads = p.threads()
		c, err := start(cfg)
		p.note(err)
		if err != nil {
			p.log.Error("engine process does not start", "error", err)
			select {
			case <-time.After(p.cfg.RetryDelay):
			case <-ctx.Done():
			}
			continue
		}
		select {
		case p.fresh <- c:
		case <-c.exited: // a spare that died of itself
		case <-ctx.Done():
			c.kill()
			<-c.exited
		}
	}
}

// slot serves calls with one child at a time until ctx is done, or, after the
// call in hand, until quit is closed.
func (p *Pool) slot(ctx context.Context, quit <-chan struct{}) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-quit:
			return
		case c := <-p.fresh:
			p.work(ctx, quit, c)
			c.kill()
			<-c.exited
		}
	}
}

// work serves calls with c until it is of no more use or has served enough.
func (p *Pool) work(ctx context.Context, quit <-chan struct{}, c *child) {
	for c.served < p.cfg.Recycle {
		select { // a busy pool must not keep a slot that is to end
		case <-quit:
			return
		default:
		}
		select {
		case <-ctx.Done():
			return
		case <-quit:
			return
		case <-c.exited:
			p.log.Warn("idle engine process died", "state", c.cmd.ProcessState.String(), "stderr", c.stderr.String())
			return
		case call := <-p.calls:
			r, alive := p.serve(ctx, c, call)
			call.done <- r
			if !alive {
				return
			}
		}
	}
}

// serve carries out one call on c. alive is false when c is of no more use.
func (p *Pool) serve(run context.Context, c *child, call *call) (r result, alive bool) {
	if err := call.ctx.Err(); err != nil {
		return result{err: cancelled(err)}, true
	}
	limit, cancel := context.WithTimeoutCause(call.ctx, call.wall, errLate)
	defer cancel()
	stopWatch := context.AfterFunc(limit, c.kill)
	stopRun := context.AfterFunc(run, c.kill)
	answer, err := c.call(call.req)
	inTime, going := stopWatch(), stopRun()
	switch {
	case err == nil:
		// It may have been killed in the same moment; the answer counts.
		if r.report, r.err = accept(call.req.Job, answer); engine.Died(r.err) {
			p.log.Warn("engine process answered what cannot be", "error", r.err)
		}
		return r, inTime && going && !engine.Died(r.err)
	case !going:
		r.err = fault.Wrap(fault.Unavailable, "the engine is being stopped", run.Err())
	case errors.Is(context.Cause(limit), errLate):
		r.err = p.died(c, fmt.Sprintf("the engine was killed after %s", call.wall))
	case !inTime:
		r.err = cancelled(call.ctx.Err())
	default:
		r.err = p.died(c, c.reason(err))
	}
	return r, false
}

// errLate is why a call's context ended when its wall time is over.
var errLate = errors.New("wall time is over")

// died logs a death and makes its error.
func (p *Pool) died(c *child, reason string) error {
	c.kill()
	<-c.exited
	p.log.Warn("engine process died at work", "reason", reason, "served", c.served, "stderr", c.stderr.String())
	return engine.Dead(reason, c.stderr.String())
}

// cancelled gives the end of the caller's ctx its kind.
func cancelled(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.Wrap(fault.DeadlineExceeded, "the picture took longer than is allowed", err)
	}
	return fault.Wrap(fault.Canceled, "the work on the picture was cancelled", err)
}
