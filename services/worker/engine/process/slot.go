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
// because Linux signals a parent's death when the starting thread ends. It
// returns an error when a child is not isolated as it has to be.
func (p *Pool) start(ctx context.Context, root string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for n := uint64(0); ctx.Err() == nil; n++ {
		cfg := p.cfg
		cfg.Threads = p.threads()
		c, err := start(cfg, root, n)
		if err == nil {
			if err = p.isolated(c); err != nil {
				c.bury()
				p.note(err)
				return err
			}
		}
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
			c.bury()
		case <-ctx.Done():
			c.bury()
		}
	}
	return nil
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
			stop := context.AfterFunc(ctx, func() { c.kill(noLonger) })
			p.work(ctx, quit, c)
			stop()
			c.bury()
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
			if ctx.Err() == nil {
				p.log.Warn("idle engine process died", "state", c.cmd.ProcessState.String(), "stderr", c.stderr.String())
			}
			return
		case call := <-p.calls:
			began := time.Now()
			r, alive := p.serve(ctx, c, call)
			call.done <- r
			if !alive || !p.lasts(c, time.Since(began), r.err != nil) {
				return
			}
		}
	}
}

// A child's memory and its folder are looked at after every picture that failed or
// took so long, and after every so many.
const (
	heavyTime  = 20 * time.Millisecond
	looksEvery = 16
)

// lasts tidies up behind a picture, and reports whether c serves another one.
func (p *Pool) lasts(c *child, took time.Duration, failed bool) bool {
	if !failed && took < heavyTime && c.served%looksEvery != 0 {
		return true
	}
	if err := c.tidy(); err != nil {
		p.log.Warn("tidy an engine process's folder", "error", err)
		return false
	}
	return !c.watch.fat(c)
}

// serve carries out one call on c. alive is false when c is of no more use.
func (p *Pool) serve(run context.Context, c *child, call *call) (r result, alive bool) {
	if err := call.ctx.Err(); err != nil {
		return result{err: cancelled(err)}, true
	}
	going := func() bool { return true }
	if call.ctx.Done() != nil {
		going = context.AfterFunc(call.ctx, func() { c.kill(noLonger) })
	}
	c.watch.begin(c, call.wall)
	answer, err := c.call(&call.parcel)
	c.watch.end()
	wanted := going()
	switch {
	case err == nil:
		// It may have been killed in the same moment; the answer counts.
		if r.report, r.err = accept(call.job, c.dir, answer); engine.Died(r.err) {
			p.log.Warn("engine process answered what cannot be", "error", r.err)
		}
		return r, wanted && run.Err() == nil && !engine.Died(r.err)
	case run.Err() != nil:
		r.err = fault.Wrap(fault.Unavailable, "the engine is being stopped", run.Err())
	case !wanted && c.why() == noLonger:
		r.err = cancelled(call.ctx.Err())
	default:
		r.err = p.died(c, c.reason(err, call.wall))
	}
	return r, false
}

// died logs a death and makes its error.
func (p *Pool) died(c *child, reason string) error {
	c.kill(noLonger)
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

// mebibytes writes an amount of memory as settings do.
func mebibytes(n int64) string {
	if n%(1<<30) == 0 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
