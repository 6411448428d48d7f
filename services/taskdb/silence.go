package taskdb

import "time"

// SilenceKept is for how long a silence is remembered: longer than any call for
// work may wait.
const SilenceKept = 10 * time.Minute

// Silences remembers which workers let a lease run out, and when. A stopped
// process keeps its connections, and with them a call for work that it made
// before: such a call proves nothing, and must not be given the task once more.
// A call made afterwards proves that the worker lives. What is remembered is a
// hint that may be lost in a restart; then it costs a lease, never a task.
//
// The zero value is ready. It is not safe for concurrent use.
type Silences struct{ last map[string]time.Time }

// Note records that a lease of the worker ran out.
func (s *Silences) Note(worker string, now time.Time) {
	if s.last == nil {
		s.last = map[string]time.Time{}
	}
	for w, at := range s.last {
		if now.Sub(at) > SilenceKept {
			delete(s.last, w)
		}
	}
	s.last[worker] = now
}

// Check refuses a claim for a call that the worker made before a lease of its
// ran out, as fault.Conflict. A clock that was set back must not shut a worker
// out, so a silence in the future counts for nothing.
func (s *Silences) Check(c Claim, now time.Time) error {
	at, ok := s.last[c.Worker]
	asked := now.Add(-time.Duration(c.WaitedMillis) * time.Millisecond)
	if !ok || at.After(now) || !asked.Before(at) {
		return nil
	}
	return Silent(c)
}
