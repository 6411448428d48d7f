package worker

import (
	"time"

	"imagemill/internal/shared"
	"imagemill/pkg/discovery/settings"
	"imagemill/services/worker/engine"
)

// live is what may change while a worker runs: its configuration until a shared
// setting says otherwise. Each task goes by what counts when it is rendered.
type live struct {
	engines, inFlight   *settings.Value[int]
	wall                *settings.Value[time.Duration]
	inPixels, outPixels *settings.Value[int64]
	side, frames        *settings.Value[int]
}

// newLive registers the settings; resized is called when the number of engines or
// of tasks in hand has changed.
func newLive(set *settings.Set, cfg Config, resized func()) *live {
	changed := func(int) { resized() }
	return &live{
		engines:   settings.Use(set, shared.Engines(), cfg.engines(), changed),
		inFlight:  settings.Use(set, shared.InFlight(), cfg.InFlight, changed),
		wall:      settings.Use(set, shared.WallTime(), cfg.WallTime),
		inPixels:  settings.Use(set, shared.InputPixels(), cfg.InputPixels),
		outPixels: settings.Use(set, shared.OutputPixels(), cfg.OutputPixels),
		side:      settings.Use(set, shared.Side(), cfg.Side),
		frames:    settings.Use(set, shared.Frames(), cfg.Frames),
	}
}

// mostInFlight is the bound on tasks in hand. A shared number of engines may be
// above a configured bound; then each engine has one.
func (l *live) mostInFlight() int {
	engines, most := l.engines.Get(), l.inFlight.Get()
	if most == 0 {
		return 32 * engines
	}
	return max(most, engines)
}

func (l *live) limits() engine.Limits {
	return engine.Limits{
		InputPixels: l.inPixels.Get(), OutputPixels: l.outPixels.Get(),
		Side: l.side.Get(), Frames: l.frames.Get(), WallTime: l.wall.Get(),
	}
}

// resized hears of a change of the number of engines or of tasks in hand.
func (s *Service) resized() {
	s.resize()
	s.deps.Log.Info("worker resized", "engines", s.live.engines.Get(), "inFlight", s.live.mostInFlight())
}

// resize carries the numbers out: the pool lets pictures in work end, and tasks
// in hand beyond a lower bound are finished before more are asked for.
func (s *Service) resize() {
	engines := s.live.engines.Get()
	if s.deps.Resize != nil {
		s.deps.Resize(engines)
	}
	s.load.resize(engines, s.live.mostInFlight())
}
