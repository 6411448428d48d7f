// Package rungroup runs functions together and stops them in reverse order of
// their start: what was added last (and so leans on the others) stops first.
//
// It promises that every function's end is waited for, that the first failure
// stops all of them, and that every error is reported. It does not restart
// anything.
package rungroup

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Func runs until its context is done or it fails. A nil error before the
// context is done stops the group as an error does.
type Func func(ctx context.Context) error

// Group is a list of named functions. The zero value is ready; it is not safe
// for concurrent use, and is run once.
type Group struct {
	members []member
}

type member struct {
	name string
	run  Func
}

type ended struct {
	index int
	err   error
}

// Add appends a function. Order matters: members stop in the reverse of it.
func (g *Group) Add(name string, run Func) {
	g.members = append(g.members, member{name, run})
}

// Run starts all members at once and blocks until all have returned. When ctx
// is done or a member returns, members are stopped one after the other from
// the last to the first, each being waited for before the next is told. It
// returns all errors joined, each with its member's name; a member's
// context.Canceled after it was told to stop is no error.
func (g *Group) Run(ctx context.Context) error {
	// Members do not see ctx's cancellation itself, or they would all stop at once.
	base := context.WithoutCancel(ctx)
	stops := make([]context.CancelFunc, len(g.members))
	done := make([]chan struct{}, len(g.members))
	errs := make([]error, len(g.members))
	first := make(chan ended, len(g.members))
	for i, m := range g.members {
		mctx, stop := context.WithCancel(base)
		stops[i], done[i] = stop, make(chan struct{})
		go func() {
			defer close(done[i])
			err := m.run(mctx)
			if errors.Is(err, context.Canceled) && mctx.Err() != nil {
				err = nil
			}
			if err != nil {
				errs[i] = fmt.Errorf("%s: %w", m.name, err)
			}
			first <- ended{i, err}
		}()
	}
	if len(g.members) > 0 {
		select {
		case <-ctx.Done():
		case <-first:
		}
	}
	for i := range slices.Backward(g.members) {
		stops[i]()
		<-done[i]
	}
	return errors.Join(errs...)
}
