package taskdb

import "imagemill/internal/fault"

// NotFound is the error for an unknown task.
func NotFound(id string) error {
	return fault.Newf(fault.NotFound, "there is no task %.64s", id).WithID(id)
}

// Clash is the error for a new task whose ID another one has.
func Clash(t Task) error {
	return fault.Newf(fault.Conflict, "task %s exists with other content", t.ID).WithID(t.ID).WithState(string(t.State))
}

// Silent is the error for a claim for a call that the worker made before a lease
// of its ran out.
func Silent(c Claim) error {
	return fault.Newf(fault.Conflict, "a lease of worker %.200s has run out since it asked for work: it must ask again", c.Worker)
}

// LeaseLost is the error for a write of an attempt that does not hold the lease.
func LeaseLost(t Task, attempt int) error {
	return fault.Newf(fault.Conflict, "attempt %d does not hold task %s: it is %s, at attempt %d", attempt, t.ID, t.State, t.Attempt).
		WithID(t.ID).WithState(string(t.State))
}

// BadMove is the error for a move that the table of moves does not allow.
func BadMove(t Task, to State) error {
	return fault.Newf(fault.Conflict, "task %s is %s and cannot become %s", t.ID, t.State, to).
		WithID(t.ID).WithState(string(t.State))
}
