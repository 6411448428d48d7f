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

// start makes children when they are wanted, and offers each to whichever slot has
// none; one that nobody needs yet is the spare. All of them are started from one
// thread, because Linux signals a parent's death when the starting thread ends. It
// returns an error when a child is not isolated as it has to be.
func (p *Pool) start(ctx context.Context, root string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for n := uint64(0); p.wanted(ctx); n++ {
		select {
		case <-p.desk.resting: // that rest is over
		default:
		}
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
		if p.offer(ctx, c) {
			p.desk.joined()
		} else {
			c.bury()
		}
	}
	return nil
}

// offer waits until a slot has taken c; false when c is of no more use.
func (p *Pool) offer(ctx context.Context, c *child) bool {
	select {
	case p.fresh <- c:
		return true
	default: // all slots have a child: it is a spare
	}
	select {
	case p.fresh <- c:
		return true
	case <-p.desk.resting:
	case <-c.exited: // it died of itself
	case <-ctx.Done():
	}
	return false
}

// wanted waits until a child is to be started; false when ctx is done.
func (p *Pool) wanted(ctx context.Context) bool {
	for ctx.Err() == nil {
		if p.desk.wants(p.Size()) {
			return true
		}
		select {
		case <-p.desk.changed:
		case <-ctx.Done():
		}
	}
	return false
}

// slot keeps one child at a time on the desk until ctx is done, or, after the
// picture in hand, until quit is closed.
func (p *Pool) slot(ctx context.Context, quit <-chan struct{}) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-quit:
			return
		case c := <-p.fresh:
			c.pool = ctx
			stop := context.AfterFunc(ctx, func() { c.kill(noLonger) })
			p.keep(ctx, quit, c)
			stop()
			c.bury()
			p.desk.left(c)
		}
	}
}

// keep has c on the desk until it is of no more use.
func (p *Pool) keep(ctx context.Context, quit <-chan struct{}, c *child) {
	p.desk.enter(c)
	select {
	case <-ctx.Done():
	case <-quit:
	case <-c.exited:
	case <-c.free:
	}
	if p.desk.leave(c) && c.gone() && ctx.Err() == nil {
		p.log.Warn("idle engine process died", "state", c.cmd.ProcessState.String(), "stderr", c.stderr.String())
	}
	<-c.free
}

// work carries out one call on a child that was taken.
func (p *Pool) work(c *child, call *call) (engine.Report, error) {
	began := time.Now()
	report, alive, err := p.serve(c, call)
	if alive && c.served < p.cfg.Recycle && p.lasts(c, time.Since(began), err != nil) {
		p.desk.put(c)
	} else {
		p.desk.drop(c)
	}
	return report, err
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
func (p *Pool) serve(c *child, call *call) (report engine.Report, alive bool, err error) {
	if err := call.ctx.Err(); err != nil {
		return report, true, cancelled(err)
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
		if report, err = accept(call.job, c.dir, answer); engine.Died(err) {
			p.log.Warn("engine process answered what cannot be", "error", err)
		}
		return report, wanted && !engine.Died(err), err
	case c.pool.Err() != nil:
		err = fault.New(fault.Unavailable, "the engine is being stopped")
	case !wanted && c.why() == noLonger:
		err = cancelled(call.ctx.Err())
	default:
		err = p.died(c, c.reason(err, call.wall))
	}
	return report, false, err
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
