package taskdb

import "imagemill/internal/fault"

// maxIdempotencyKey bounds NewTask.IdempotencyKey, in bytes.
const maxIdempotencyKey = 255

// Repeats reports whether n, made canonical, asks for what t was made for: the
// same bytes, and the same to be made of them.
func (n NewTask) Repeats(t Task) bool {
	return n.Original.SHA256 == t.Original.SHA256 && n.Original.Size == t.Original.Size && string(n.Pipeline) == string(t.Pipeline)
}

// Answer is the outcome of creating n when old has its ID or, in second place, its
// idempotency key.
func (n NewTask) Answer(old Task) (Task, error) {
	switch {
	case old.ID == n.ID && !n.SameAs(old):
		return old, Clash(old)
	case old.ID != n.ID && !n.Repeats(old):
		return old, KeyTaken(old)
	}
	return old, nil
}

// KeyTaken is the error for a new task with the idempotency key of t, whose bytes or
// pipeline are others.
func KeyTaken(t Task) error {
	return fault.New(fault.Unprocessable, "this key came with another picture, or with other operations, before: "+
		"a repeat sends the same, and a new upload a new key").WithField("Idempotency-Key").WithID(t.ID)
}

// repeated is how a [Recorder], which gives no tasks, says that a create was a
// repeat of another task's.
func repeated(n NewTask, t Task) error {
	if t.ID == n.ID {
		return nil
	}
	return fault.Newf(fault.Conflict, "task %s is a repeat of task %s", n.ID, t.ID).WithID(t.ID).WithState(string(t.State))
}

// Repeated reports whether the outcome of recording a create says that the task
// was not recorded since it repeats another's upload, and gives the ID of that.
func Repeated(n NewTask, outcome error) (id string, ok bool) {
	if !fault.Is(outcome, fault.Conflict) {
		return "", false
	}
	id = fault.As(outcome).ID
	return id, n.IdempotencyKey != "" && id != "" && id != n.ID
}
