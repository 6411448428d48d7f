package taskdb

import (
	"context"
	"slices"
	"strings"
	"time"

	"imagemill/internal/fault"
)

// Removed is a task that is gone, and with it the claim of its blobs.
type Removed struct {
	// Task is the task as it was last; one that was not at its end is Cancelled.
	Task Task `json:"task"`
}

// Retention is for how long tasks are kept after their end, by taskdb's clock, in
// milliseconds, 0 to that of MaxKeep; 0 is for ever.
type Retention struct {
	FinishedMillis int64 `json:"finishedMillis,omitempty"`
	// FailedMillis is for those that are Failed or Cancelled.
	FailedMillis int64 `json:"failedMillis,omitempty"`
}

// MaxKeep is the longest time for which a task is kept, but for ever.
const MaxKeep = 10 * 365 * 24 * time.Hour

// MaxPurge is how many tasks one Purge removes at most.
const MaxPurge = 100

// Removals is the side of those who clean up. What they remove leaves no trace,
// so that a blob of it that stays behind is one without a task.
type Removals interface {
	// Delete removes a task durably, whatever its state; one that is not at its end
	// is cancelled first, in the same transaction, and the attempt in hand loses its
	// lease. Who waits for it hears that it was cancelled. Unknown, as after a
	// repeat: fault.NotFound. The blobs are the caller's to remove, afterwards.
	Delete(ctx context.Context, id string) (Removed, error)
	// Purge removes, as Delete does, up to MaxPurge tasks whose Expires has come, or
	// that have been at their end for as long as r says; none is an empty slice. Fewer
	// than MaxPurge says that no more are due, but for those that another transaction
	// has in hand. Several callers at once get each task once. Its cost does not
	// depend on how many tasks are kept. A wrong r is fault.Invalid.
	Purge(ctx context.Context, r Retention) ([]Removed, error)
}

// Validate refuses what is out of range.
func (r Retention) Validate() error {
	for field, ms := range map[string]int64{"finishedMillis": r.FinishedMillis, "failedMillis": r.FailedMillis} {
		if ms < 0 || ms > MaxKeep.Milliseconds() {
			return fault.Newf(fault.Invalid, "must be 0 to %d", MaxKeep.Milliseconds()).WithField(field)
		}
	}
	return nil
}

// Ended is the moment up to which tasks that reached a state then are due; false
// for those that are kept for ever.
func (r Retention) Ended(s State, now time.Time) (time.Time, bool) {
	ms := int64(0)
	switch s {
	case Finished:
		ms = r.FinishedMillis
	case Failed, Cancelled:
		ms = r.FailedMillis
	case NotStarted, InProgress:
	}
	return now.Add(-time.Duration(ms) * time.Millisecond), ms > 0
}

// Due reports whether Purge removes a task.
func (r Retention) Due(t Task, now time.Time) bool {
	if !t.Expires.IsZero() && !t.Expires.After(now) {
		return true
	}
	end, ok := r.Ended(t.State, now)
	return ok && !t.Updated.After(end)
}

// SortRemoved puts removed tasks in the order of their IDs.
func SortRemoved(all []Removed) {
	slices.SortFunc(all, func(a, b Removed) int { return strings.Compare(a.Task.ID, b.Task.ID) })
}

// ValidateKeep refuses a wrong end, as fault.Invalid.
func (n NewTask) ValidateKeep() error {
	if n.KeepMillis < 0 || n.KeepMillis > MaxKeep.Milliseconds() {
		return fault.Newf(fault.Invalid, "must be 0 to %d", MaxKeep.Milliseconds()).WithField("keepMillis")
	}
	if !n.Expires.IsZero() && (n.KeepMillis > 0 || n.Expires.UnixMicro() <= 0 || n.Expires.Year() > 9999) {
		return fault.New(fault.Invalid, "must be a time after 1970, and given alone or not at all").WithField("expires")
	}
	return nil
}

// expires is when the task that n, valid, describes ends, if it is created now.
func (n NewTask) expires(now time.Time) time.Time {
	switch {
	case n.KeepMillis > 0:
		return Stamp(now.Add(time.Duration(n.KeepMillis) * time.Millisecond))
	case n.Expires.IsZero():
		return time.Time{}
	}
	return Stamp(n.Expires)
}
