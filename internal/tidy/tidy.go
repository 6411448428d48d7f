// Package tidy hands memory back to the system when a burst is over.
//
// Go keeps what it has freed for some minutes, and collects an idle heap only
// every other minute, so that a process stays as large as its last burst made it.
// [Run] waits for a collection, which a burst does not go without, looks every few
// seconds until hardly anything is allocated any more, and then has everything
// freed that can be, once. While the process is idle it does nothing at all.
package tidy

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// pause is the time between looks while a burst goes on.
	pause = 3 * time.Second
	// idleBytes is what an idle process may allocate between two looks.
	idleBytes = 1 << 20
	// worth is the growth, in bytes, below which nothing is done. A large heap has to
	// grow by a quarter, as going through it costs more.
	worth = 4 << 20
)

// Run tidies up after each burst until ctx is done, and returns nil.
//
// From the first collection on it holds slack bytes that are never written to: they
// take no memory but count as in use, so that a small heap is collected only when as
// much again has been thrown away. What a burst leaves there is handed back after it.
func Run(ctx context.Context, slack int) error {
	return (&keeper{collected: nextCollection, look: look, free: free, slack: slack}).run(ctx)
}

// keeper is Run with what it works on.
type keeper struct {
	// collected gives a channel that the end of a collection after the call closes.
	collected func() <-chan struct{}
	look      func() usage
	free      func()
	// level is what was held after the last time.
	level uint64
	slack int
}

// usage is what a look shows, in bytes.
type usage struct {
	allocated uint64 // in all, since the start
	held      uint64 // of the system's memory, now
}

func (k *keeper) run(ctx context.Context) error {
	var held []byte
	defer func() { runtime.KeepAlive(held) }()
	for {
		select {
		case <-k.collected():
		case <-ctx.Done():
			return nil
		}
		if held == nil {
			held = make([]byte, k.slack)
		}
		if !k.calm(ctx) {
			return nil
		}
		if k.look().held >= k.level+max(worth, k.level/4) {
			k.free()
			k.level = k.look().held
		}
	}
}

// calm waits until the burst is over; false when ctx is done.
func (k *keeper) calm(ctx context.Context) bool {
	t := time.NewTicker(pause)
	defer t.Stop()
	for last := k.look().allocated; ; {
		select {
		case <-t.C:
		case <-ctx.Done():
			return false
		}
		now := k.look().allocated
		if now-last < idleBytes {
			return true
		}
		last = now
	}
}

// look does not stop the program.
func look() usage {
	s := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(s)
	return usage{allocated: s[0].Value.Uint64(), held: s[1].Value.Uint64() - s[2].Value.Uint64()}
}

// free collects twice, since pools keep what they hold over the first time.
func free() {
	runtime.GC()
	debug.FreeOSMemory()
}

// nextCollection notices a collection by what it collects: an object that nobody
// refers to.
func nextCollection() <-chan struct{} {
	ch := make(chan struct{})
	type litter struct{ _ *litter } // with a pointer it gets a place of its own
	runtime.AddCleanup(&litter{}, func(ch chan struct{}) { close(ch) }, ch)
	return ch
}
