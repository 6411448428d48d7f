package kvstore

import (
	"context"
	"sync"
)

// gate is open while the node leads and has applied everything that was
// committed before. Requests wait at it. Make it with newGate; it begins shut.
type gate struct {
	mu sync.Mutex
	ch chan struct{} // closed while the gate is open
	up bool
}

func newGate() *gate { return &gate{ch: make(chan struct{})} }

// passage gives a channel that is closed as soon as the gate is open.
func (g *gate) passage() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ch
}

// set opens or shuts the gate.
func (g *gate) set(up bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case up && !g.up:
		close(g.ch)
	case !up && g.up:
		g.ch = make(chan struct{})
	}
	g.up = up
}

// isOpen reports whether one could pass now.
func (g *gate) isOpen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.up
}

// wait blocks until the gate is open. It fails with ctx.
func (g *gate) wait(ctx context.Context) error {
	select {
	case <-g.passage():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
