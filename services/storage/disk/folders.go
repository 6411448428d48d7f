package disk

import (
	"path/filepath"
	"sync"
)

// maxKnown bounds the folders remembered as durable; beyond, all are forgotten,
// which costs one fsync each when they are used again.
const maxKnown = 4096

// folders makes folders, and makes the names in them durable, with one fsync
// for all who ask at about the same time.
type folders struct {
	fs fileSystem

	mu     sync.Mutex
	known  map[string]struct{} // exist, and are durable themselves
	groups map[string]*group
}

func newFolders(fsys fileSystem) *folders {
	return &folders{fs: fsys, known: map[string]struct{}{}, groups: map[string]*group{}}
}

// ensure makes a folder, if it is missing, and its name durable. That a folder
// exists does not say that its name is durable (another Put may have made it a
// moment ago), so the first use in this process always syncs the parent.
func (f *folders) ensure(dir string) error {
	f.mu.Lock()
	_, ok := f.known[dir]
	f.mu.Unlock()
	if ok {
		return nil
	}
	if err := f.fs.mkdir(dir); err != nil {
		return err
	}
	if err := f.sync(filepath.Dir(dir)); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.known) >= maxKnown {
		clear(f.known)
	}
	f.known[dir] = struct{}{}
	return nil
}

// forget lets the next ensure make the folder again.
func (f *folders) forget(dir string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.known, dir)
}

// sync returns after an fsync of dir that began after the call.
func (f *folders) sync(dir string) error {
	f.mu.Lock()
	g := f.groups[dir]
	if g == nil {
		g = &group{}
		f.groups[dir] = g
	}
	g.users++
	f.mu.Unlock()

	err := g.join(func() error { return f.fs.syncDir(dir) })

	f.mu.Lock()
	defer f.mu.Unlock()
	if g.users--; g.users == 0 {
		delete(f.groups, dir)
	}
	return err
}

// group lets many callers share runs of one costly function, such that each
// caller's run begins after its call: who comes while one is running waits for
// the next, together with all others who come in that time.
type group struct {
	users int // counted by folders, under its lock

	turn sync.Mutex // held by the run that is going on

	mu   sync.Mutex
	next *batch
}

// batch is one run, with the callers that wait for it.
type batch struct {
	done chan struct{}
	err  error
}

// join runs run, or waits for another caller who does, and gives its error.
// The first caller of a batch runs it, when the batch before it has ended.
func (g *group) join(run func() error) error {
	g.mu.Lock()
	b := g.next
	if b != nil {
		g.mu.Unlock()
		<-b.done
		return b.err
	}
	b = &batch{done: make(chan struct{})}
	g.next = b
	g.mu.Unlock()

	g.turn.Lock()
	g.mu.Lock()
	g.next = nil // who comes from here on might have renamed too late for this run
	g.mu.Unlock()
	b.err = run()
	g.turn.Unlock()
	close(b.done)
	return b.err
}
