package process

import (
	"runtime"
	"sync"
)

// size is how many slots there are, and how many there should be.
type size struct {
	mu    sync.Mutex
	want  int
	run   func(quit <-chan struct{}) // runs one slot; nil while the pool does not run
	quits []chan struct{}            // one of each slot that is to go on
	slots sync.WaitGroup
}

// Resize changes the number of children at work, 1 to 1024; one outside of that is
// taken for the nearest. More start as they are needed; where there are too many,
// idle ones end at once and the others with the picture that they work on. No
// call is broken off. It does not wait, and may be called at any time.
func (p *Pool) Resize(n int) {
	p.size.mu.Lock()
	defer p.size.mu.Unlock()
	p.size.want = min(max(n, 1), maxSize)
	p.size.fit()
	p.desk.poke()
}

// Size is the number of children that there are to be.
func (p *Pool) Size() int {
	p.size.mu.Lock()
	defer p.size.mu.Unlock()
	return p.size.want
}

// threads is what a new child's GOMAXPROCS is to be: all children together use
// all cores, those that were started under another size until they are replaced.
func (p *Pool) threads() int {
	if p.cfg.Threads > 0 {
		return p.cfg.Threads
	}
	return max(1, runtime.NumCPU()/p.Size())
}

// open starts the slots.
func (s *size) open(run func(quit <-chan struct{})) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = run
	s.fit()
}

// close waits for the slots, which have been told to end, and starts no more.
func (s *size) close() {
	s.mu.Lock()
	s.run = nil
	s.mu.Unlock()
	s.slots.Wait()
}

// fit starts slots or lets some end. The lock is held.
func (s *size) fit() {
	if s.run == nil {
		return
	}
	for len(s.quits) < s.want {
		quit, run := make(chan struct{}), s.run
		s.quits = append(s.quits, quit)
		s.slots.Go(func() { run(quit) })
	}
	for last := len(s.quits) - 1; last >= s.want; last-- {
		close(s.quits[last])
		s.quits = s.quits[:last]
	}
}
