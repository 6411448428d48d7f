package taskdb

import (
	"sync"
	"time"

	"imagemill/internal/fault"
)

// Lane is one of the two queues in which tasks wait.
type Lane string

// The lanes. Interactive is for tasks that somebody waits for, and what a task has
// that names none; Batch is for those that may wait.
const (
	Interactive Lane = ""
	Batch       Lane = "batch"
)

// interactiveName is what people and programs may write for Interactive.
const interactiveName = "interactive"

// String gives the name of the lane.
func (l Lane) String() string {
	if l == Interactive {
		return interactiveName
	}
	return string(l)
}

// ParseLane reads the name of a lane, "" for Interactive. Any other is
// fault.Invalid.
func ParseLane(name string) (Lane, error) {
	switch name {
	case string(Batch):
		return Batch, nil
	case interactiveName, "":
		return Interactive, nil
	}
	return Interactive, fault.Newf(fault.Invalid, "%.32q is no lane; the lanes are %s and %s", name, Interactive, Batch).WithField("lane")
}

// BatchShare is how many tasks are handed out, while both lanes have some, of
// which one is of Batch.
const BatchShare = 8

// Lanes counts what a process hands out, for the share of Batch. It is a hint that
// may be lost in a restart. The zero value is ready; it is safe for concurrent use.
type Lanes struct {
	mu       sync.Mutex
	passed   int // tasks of Interactive that Batch has not had its share for
	reserved int // what is to be added to passed if all goes as was reserved
}

// Batch gives how many of the next tasks go to Batch first, where it has some.
func (l *Lanes) Batch(most int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.batch(most)
}

func (l *Lanes) batch(most int) int {
	return (within(l.passed+l.reserved) + most) / BatchShare
}

// Reserve is Batch for who learns later what was handed out: until Release, others
// are answered as if that many were, of lanes that have enough.
func (l *Lanes) Reserve(most int) (batch int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch = l.batch(most)
	l.reserved += most - BatchShare*batch
	return batch
}

// Release takes back what Reserve gave for most tasks. What of it was handed out is
// told by Took.
func (l *Lanes) Release(most, batch int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reserved -= most - BatchShare*batch
}

// Took notes what was handed out.
func (l *Lanes) Took(interactive, batch int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passed = within(l.passed + interactive - (BatchShare-1)*batch)
}

// within bounds what one lane may owe the other: to Batch at most that the next task
// is its own, to Interactive nothing.
func within(passed int) int { return max(0, min(passed, BatchShare-1)) }

// Due is when the task that n, valid, describes may be claimed, if it is created
// now: zero for at once. Too far ahead is fault.Invalid.
func (n NewTask) Due(now time.Time) (time.Time, error) {
	due := n.NotBefore
	if n.DelayMillis > 0 {
		due = now.Add(time.Duration(n.DelayMillis) * time.Millisecond)
	}
	if due.Sub(now) > MaxAhead {
		return due, tooFar("notBefore")
	}
	if !due.After(now) {
		return time.Time{}, nil
	}
	return Stamp(due), nil
}

func tooFar(field string) error {
	return fault.Newf(fault.Invalid, "must be at most %d days ahead", MaxAhead/(24*time.Hour)).WithField(field)
}

// ValidateQueue refuses a wrong owner, lane or schedule of a task that is created
// now, as fault.Invalid.
func (n NewTask) ValidateQueue(now time.Time) error {
	if err := n.validateQueue(); err != nil {
		return err
	}
	_, err := n.Due(now)
	return err
}

// validateQueue leaves out what depends on the time.
func (n NewTask) validateQueue() error {
	if _, err := ParseLane(string(n.Lane)); err != nil {
		return err
	}
	if err := CheckOwner(n.Owner); err != nil {
		return err
	}
	if n.DelayMillis < 0 || n.DelayMillis > MaxAhead.Milliseconds() {
		return fault.Newf(fault.Invalid, "must be 0 to %d", MaxAhead.Milliseconds()).WithField("delayMillis")
	}
	if n.DelayMillis > 0 && !n.NotBefore.IsZero() {
		return fault.New(fault.Invalid, "give either a time or a delay").WithField("notBefore")
	}
	return nil
}

// CheckOwner refuses what cannot be an owner.
func CheckOwner(owner string) error {
	if len(owner) > MaxOwner || !isText(owner) {
		return fault.Newf(fault.Invalid, "must be at most %d bytes of text", MaxOwner).WithField("owner")
	}
	return nil
}
