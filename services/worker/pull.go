package worker

import (
	"context"
	"math/rand/v2"
	"time"

	"imagemill/services/imagemaster"
	"imagemill/services/taskdb"
)

// The pause after a failed call for work doubles between these two.
const (
	pauseMin = 100 * time.Millisecond
	pauseMax = 2 * time.Second
)

// pull asks for as much work as there is room for, until ctx is done. A master
// that is away is waited for.
func (s *Service) pull(ctx context.Context, start func(imagemaster.Work)) {
	pause := pauseMin
	for {
		room, ok := s.load.room(ctx)
		if !ok || !s.full.wait(ctx) {
			return
		}
		tasks, err := s.ask(ctx, min(room, taskdb.MaxClaim))
		for _, t := range tasks {
			s.load.add()
			start(t)
		}
		if err == nil {
			pause = pauseMin
			continue
		}
		if ctx.Err() != nil {
			return
		}
		s.deps.Log.Warn("ask for work", "error", err)
		if !sleep(ctx, pause/2+rand.N(pause)) {
			return
		}
		pause = min(2*pause, pauseMax)
	}
}

// lastCall is how long a call for work goes on after a stop has begun.
const lastCall = 250 * time.Millisecond

// ask makes one call for work. A stop does not break it off at once: work that
// was claimed for this worker, and whose answer is on its way, would be waited
// for until its lease ran out.
func (s *Service) ask(ctx context.Context, most int) ([]imagemaster.Work, error) {
	call, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(lastCall, hangUp) })
	defer stop()
	return s.deps.Master.GetWork(call, imagemaster.WorkRequest{
		Worker: s.deps.Instance, Max: most, Wait: s.cfg.Wait, Can: s.deps.Abilities.Set(), Others: s.others(),
		Engine: s.engineVersion(),
	})
}

// sleep waits for d and reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
