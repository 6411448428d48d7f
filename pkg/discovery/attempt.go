package discovery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

var (
	errSilent  = errors.New("instance does not answer, nor to a question after its health")
	errTooLong = errors.New("no answer within the time of one attempt")
)

// attemptKey is where a context carries the time of one attempt.
type attemptKey struct{}

// WithAttemptTimeout gives each attempt of a request only so long until the header
// of its answer, where the caller knows how long an answer takes. An idempotent
// request that can be sent again then goes to another instance, if there is one in
// good standing; at the latest after the third the wait goes on until the
// request's own deadline. Other requests are not touched: they may have been
// carried out, and the answer may still come.
func WithAttemptTimeout(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, attemptKey{}, d)
}

// givenUp is the error of an attempt that was ended for want of an answer, with
// the request's body ready to be sent again.
type givenUp struct{ cause error }

// Error says why.
func (g *givenUp) Error() string { return g.cause.Error() }

// Unwrap is the cause.
func (g *givenUp) Unwrap() error { return g.cause }

// attempt is one sending of a request to one member, as long as it waits for the
// header of an answer.
type attempt struct {
	call   *call
	m      *member
	ctx    context.Context
	cancel context.CancelFunc // nil where the attempt must not be given up
	timer  *time.Timer        // nil where its time is not limited

	mu    sync.Mutex
	over  bool
	cause error // why it was given up
}

// begin makes an attempt that the member knows of. Only one that may be made again
// needs a context that can be cancelled.
func (c *call) begin(m *member) *attempt {
	a := &attempt{call: c, m: m, ctx: c.req.Context()}
	if c.idempotent() {
		a.ctx, a.cancel = context.WithCancel(a.ctx)
		if d, _ := a.ctx.Value(attemptKey{}).(time.Duration); d > 0 && c.broken < maxBroken {
			a.mu.Lock() // the timer may fire before the field is set
			a.timer = time.AfterFunc(d, func() {
				if !a.giveUp(fmt.Errorf("%w, %s", errTooLong, d)) {
					a.again(d)
				}
			})
			a.mu.Unlock()
		}
	}
	m.wait(a)
	return a
}

// again lets the timer run once more: the next time another instance may be there.
func (a *attempt) again(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.over {
		a.timer.Reset(d)
	}
}

// giveUp ends the wait, if somebody else can be asked and the body can be sent
// again. It tells whether the attempt is over.
func (a *attempt) giveUp(cause error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return true
	}
	if a.cancel == nil || !a.m.pool.hasOther(a.m) || !a.call.rewind() {
		return false
	}
	a.over, a.cause = true, cause
	a.cancel()
	return true
}

// end takes the attempt from the member's list; answered says that its answer has
// come. What it returns is not nil if the attempt was given up: then the answer
// must not be used.
func (a *attempt) end(answered bool) error {
	a.m.waited(a, answered)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	if a.timer != nil {
		a.timer.Stop()
	}
	if a.cause != nil {
		return &givenUp{a.cause}
	}
	return nil
}

// release frees the context, when nothing of the answer is read any more.
func (a *attempt) release() {
	if a.cancel != nil {
		a.cancel()
	}
}
