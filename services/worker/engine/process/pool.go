package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"imagemill/internal/fault"
	"imagemill/services/worker/engine"
)

// Deps is what a Pool needs of its surroundings.
type Deps struct {
	// Log gets deaths and failed starts; required.
	Log *slog.Logger
}

// Pool implements engine.Engine by child processes. Render waits while Run is
// not running yet, and fails once it has ended.
type Pool struct {
	cfg   Config
	log   *slog.Logger
	calls chan *call
	fresh chan *child
	ended chan struct{} // closed when Run returns
	ids   atomic.Uint64
	state state
}

// call is one Render on its way to a child; done receives exactly once.
type call struct {
	ctx  context.Context
	req  request
	wall time.Duration
	done chan result
}

type result struct {
	report engine.Report
	err    error
}

// state is what Ready tells.
type state struct {
	mu      sync.Mutex
	started bool
	problem error
}

// New checks and assembles a pool; no process runs before Run.
func New(cfg Config, deps Deps) (*Pool, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Log == nil {
		return nil, errors.New("engine pool: a logger is missing")
	}
	return &Pool{
		cfg: cfg, log: deps.Log,
		calls: make(chan *call), fresh: make(chan *child), ended: make(chan struct{}),
	}, nil
}

// Run keeps the children running until ctx is done; then it kills them, those
// at work too, and returns nil. To let work end, wait for the calls of Render
// before ending ctx. Run is called once.
func (p *Pool) Run(ctx context.Context) error {
	defer close(p.ended)
	var slots, starter sync.WaitGroup
	starting, stopStarting := context.WithCancel(context.WithoutCancel(ctx))
	starter.Go(func() { p.start(starting) })
	for range p.cfg.Size {
		slots.Go(func() { p.slot(ctx) })
	}
	slots.Wait()
	// The starter outlives the slots: its thread is the children's parent.
	stopStarting()
	starter.Wait()
	return nil
}

// Ready is nil once a child has greeted and no start has failed since; else it
// says what is missing.
func (p *Pool) Ready() error {
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	if p.state.problem != nil {
		return p.state.problem
	}
	if !p.state.started {
		return errors.New("no engine process has started yet")
	}
	return nil
}

func (p *Pool) note(err error) {
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	p.state.started = p.state.started || err == nil
	p.state.problem = err
}

// start makes children and offers each to whichever slot needs one; the one
// that nobody needs yet is the spare. All of them are started from one thread,
// because Linux signals a parent's death when the starting thread ends.
func (p *Pool) start(ctx context.Context) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for ctx.Err() == nil {
		c, err := start(p.cfg)
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

// slot serves calls with one child at a time until ctx is done.
func (p *Pool) slot(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case c := <-p.fresh:
			p.work(ctx, c)
			c.kill()
			<-c.exited
		}
	}
}

// work serves calls with c until it is of no more use or has served enough.
func (p *Pool) work(ctx context.Context, c *child) {
	for c.served < p.cfg.Recycle {
		select {
		case <-ctx.Done():
			return
		case <-c.exited:
			p.log.Warn("idle engine process died", "state", c.cmd.ProcessState.String(), "stderr", c.stderr.String())
			return
		case call := <-p.calls:
			report, err, alive := p.serve(ctx, c, call)
			call.done <- result{report, err}
			if !alive {
				return
			}
		}
	}
}

// serve carries out one call on c. alive is false when c is of no more use.
func (p *Pool) serve(run context.Context, c *child, call *call) (report engine.Report, err error, alive bool) { //nolint:revive // alive qualifies both
	if err := call.ctx.Err(); err != nil {
		return report, cancelled(err), true
	}
	limit, cancel := context.WithTimeoutCause(call.ctx, call.wall, errLate)
	defer cancel()
	stopWatch := context.AfterFunc(limit, c.kill)
	stopRun := context.AfterFunc(run, c.kill)
	answer, err := c.call(call.req)
	inTime := stopWatch()
	going := stopRun()
	switch {
	case err == nil && inTime && going:
		report, err := p.accept(call.req.Job, answer)
		return report, err, !engine.Died(err)
	case err == nil:
		report, err := p.accept(call.req.Job, answer)
		return report, err, false // answered, and killed in the same moment
	case !going:
		return report, fault.Wrap(fault.Unavailable, "the engine is being stopped", run.Err()), false
	case errors.Is(context.Cause(limit), errLate):
		return report, p.died(c, fmt.Sprintf("the engine was killed after %s", call.wall)), false
	case !inTime:
		return report, cancelled(call.ctx.Err()), false
	}
	return report, p.died(c, c.reason(err)), false
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

// accept checks what a child answered. A child that has been taken over by its
// picture must not make the worker hand out another file of the machine.
func (p *Pool) accept(job engine.Job, answer reply) (engine.Report, error) {
	if answer.Failure != nil {
		return engine.Report{}, answer.Failure.err()
	}
	if len(answer.Report.Renditions) != len(job.Pipeline.Renditions) {
		return engine.Report{}, engine.Dead("the engine answered rubbish (renditions are missing)", "")
	}
	for i, r := range answer.Report.Renditions {
		stat, err := os.Lstat(r.File)
		if err != nil || !stat.Mode().IsRegular() || stat.Size() != r.Bytes ||
			r.Name != job.Pipeline.Renditions[i].Name || filepath.Dir(r.File) != filepath.Clean(job.Dir) {
			return engine.Report{}, engine.Dead("the engine answered rubbish (a result is not where it should be)", "")
		}
	}
	return answer.Report, nil
}

// Render implements engine.Engine: it waits for an idle child, then for its
// answer. A child whose ctx ends, or that is late, is killed.
func (p *Pool) Render(ctx context.Context, job engine.Job) (engine.Report, error) {
	c := &call{ctx: ctx, wall: p.cfg.WallTime, done: make(chan result, 1)}
	if w := job.Limits.WallTime; w > 0 {
		c.wall = min(c.wall, w)
	}
	// The clock is here: the child's own must not end a job first.
	job.Limits.WallTime = 2 * c.wall
	c.req = request{ID: p.ids.Add(1), Job: job}
	select {
	case p.calls <- c:
	case <-ctx.Done():
		return engine.Report{}, cancelled(ctx.Err())
	case <-p.ended:
		return engine.Report{}, fault.New(fault.Unavailable, "the engine has stopped")
	}
	r := <-c.done
	return r.report, r.err
}

// cancelled gives the end of the caller's ctx its kind.
func cancelled(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.Wrap(fault.DeadlineExceeded, "the picture took longer than is allowed", err)
	}
	return fault.Wrap(fault.Canceled, "the work on the picture was cancelled", err)
}
