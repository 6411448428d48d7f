package imagemaster

import "time"

// wholeSweeps decides which sweeps look at everything: the first, one a day, and
// all that follow those until what they found can have been seen long enough.
type wholeSweeps struct {
	began  time.Time
	follow bool
}

func (w *wholeSweeps) due(now time.Time, settle time.Duration) bool {
	if w.began.IsZero() || now.Sub(w.began) > 24*time.Hour {
		w.began, w.follow = now, true
	}
	whole := w.follow
	w.follow = w.follow && now.Sub(w.began) < settle
	return whole
}
