package imagemaster

import "time"

// wholeSweeps decides which sweeps look at everything: the first, one a day, and
// all that follow those until what they found can have been seen long enough. Where
// one of them has failed, the next come in an hour.
type wholeSweeps struct {
	began  time.Time
	follow bool
	failed bool // one of those since began
}

func (w *wholeSweeps) due(now time.Time, settle time.Duration) bool {
	again := 24 * time.Hour
	if w.failed {
		again = time.Hour
	}
	if w.began.IsZero() || now.Sub(w.began) > again {
		w.began, w.follow, w.failed = now, true, false
	}
	whole := w.follow
	w.follow = w.follow && now.Sub(w.began) < settle
	return whole
}
