package worker

import (
	"context"
	"sync"
	"time"
)

const (
	// fullMin and fullMax are the first and the longest pause after a full disk.
	fullMin, fullMax = 250 * time.Millisecond, 30 * time.Second
	// maxAttempts is up to which attempt a task for which there was no room is given
	// back unharmed. Beyond, it counts as an error: the task may be what is too large.
	maxAttempts = 100
)

// fullness keeps a worker from asking for work that would meet a full disk, its
// own or that of storage. The zero value is ready.
type fullness struct {
	mu    sync.Mutex
	pause time.Duration
	until time.Time
}

// met notes a full disk. What was in hand at the same time counts once.
func (f *fullness) met(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Before(f.until) {
		return
	}
	f.pause = min(max(2*f.pause, fullMin), fullMax)
	f.until = now.Add(f.pause)
}

// gone notes that there was room.
func (f *fullness) gone() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pause, f.until = 0, time.Time{}
}

// wait returns when work may be asked for, false when ctx has ended.
func (f *fullness) wait(ctx context.Context) bool {
	f.mu.Lock()
	d := time.Until(f.until)
	f.mu.Unlock()
	return d <= 0 || sleep(ctx, d)
}
