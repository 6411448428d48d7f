package imagemaster

import (
	"context"
	"sync"
	"time"

	"imagemill/internal/comeback"
	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

const (
	// lookEvery is how old the count of waiting tasks may be when an upload comes.
	lookEvery = time.Second
	// lookTimeout is how long the upload that looks waits for it.
	lookTimeout = 2 * time.Second
)

// backlog keeps uploads out while too many tasks wait. It asks taskdb at most
// once in lookEvery, and only when an upload comes, so that it costs an idle
// suite nothing; what this master has recorded since then it counts itself, so
// the bound is passed by no more than what other masters take in meanwhile.
type backlog struct {
	most int64 // 0: no bound
	ask  func(context.Context) (taskdb.Stats, error)
	now  func() time.Time
	line comeback.Line

	looking sync.Mutex // one at a time

	mu      sync.Mutex
	looked  time.Time // when it was asked; zero for never
	waiting int64     // then, and recorded since
	ended   int64     // then
}

// admit gives fault.Overloaded while the bound is reached. A taskdb that does
// not answer keeps nobody out: recording the task will say so.
func (b *backlog) admit(ctx context.Context) error {
	if b.most == 0 {
		return nil
	}
	b.look(ctx)
	b.mu.Lock()
	waiting := b.waiting
	b.mu.Unlock()
	if waiting < b.most {
		return nil
	}
	return fault.Newf(fault.Overloaded, "%d images wait to be worked, and no more than %d may", waiting, b.most).
		WithRetryAfter(b.line.Wait(waiting-b.most, b.now()))
}

// recorded counts a task of this master's own.
func (b *backlog) recorded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting++
}

// fresh reports whether the count is young enough, or was never taken.
func (b *backlog) fresh() (fresh, never bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	age := b.now().Sub(b.looked)
	return age >= 0 && age < lookEvery, b.looked.IsZero()
}

// look asks taskdb where that is due. While somebody asks, others go by the
// last count, but for the first time and after a pause of many.
func (b *backlog) look(ctx context.Context) {
	fresh, never := b.fresh()
	if fresh {
		return
	}
	if never {
		b.looking.Lock()
	} else if !b.looking.TryLock() {
		return
	}
	defer b.looking.Unlock()
	if fresh, _ = b.fresh(); fresh {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	s, err := b.ask(ctx)
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.looked
	b.looked = now // also where it failed: the next one waits for lookEvery again
	if err != nil {
		b.waiting = 0
		return
	}
	ended := s.States[taskdb.Finished] + s.States[taskdb.Failed] + s.States[taskdb.Cancelled]
	if !before.IsZero() && b.waiting > 0 { // it says how fast work is done only where there was some
		b.line.Through(int(ended-b.ended), now)
	}
	b.waiting, b.ended = s.States[taskdb.NotStarted], ended
}
