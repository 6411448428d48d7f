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
		if !ok {
			return
		}
		tasks, err := s.deps.Master.GetWork(ctx, imagemaster.WorkRequest{
			Worker: s.deps.Instance, Max: min(room, taskdb.MaxClaim), Wait: s.cfg.Wait,
		})
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
