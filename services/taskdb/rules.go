package taskdb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"imagemill/internal/events"
)

// The rules below decide what becomes of a task. Every backend asks them, so
// that backends differ only in how they make a change durable and atomic. Each
// takes the task as it is and gives it as it should be, without changing what
// the given one shares; changed is false for a repeat, which is not written.

// SameAs reports whether a task is what n, made canonical, would record.
func (n NewTask) SameAs(t Task) bool {
	return n.ID == t.ID && n.Original == t.Original && bytes.Equal(n.Pipeline, t.Pipeline) && n.Lane == t.Lane && n.Owner == t.Owner
}

// Created is the task that n, made canonical, records. Too far ahead is fault.Invalid.
func Created(n NewTask, now time.Time) (Task, error) {
	due, err := n.Due(now)
	t := Task{
		ID: n.ID, State: NotStarted, Pipeline: n.Pipeline, Original: n.Original, Needs: n.Needs,
		Lane: n.Lane, Owner: n.Owner, NotBefore: due, Created: now, Updated: now,
		IdempotencyKey: n.IdempotencyKey, Expires: n.expires(now), Dedupe: n.Dedupe,
	}
	if n.Result != nil {
		t.State, t.Attempt, t.Progress, t.Result = Finished, n.Result.Attempt, 1, n.Result
	}
	return t, err
}

// Due reports whether the task waits for a time that has come.
func (t Task) Due(now time.Time) bool {
	return t.State == NotStarted && !t.NotBefore.IsZero() && !t.NotBefore.After(now)
}

// Again reports whether a move from a state makes the task wait as if it were new:
// then it gets a turn anew.
func (t Task) Again(from State) bool {
	return t.State == NotStarted && (from == Failed || from == Cancelled || t.behind)
}

// Holds reports whether the attempt holds the task's lease.
func (t Task) Holds(attempt int) bool { return t.State == InProgress && t.Attempt == attempt }

// moved gives the task in another state, without what belongs to the old one,
// or the refusal of the table of moves.
func (t Task) moved(to State, now time.Time) (Task, error) {
	if !CanMove(t.State, to) {
		return t, BadMove(t, to)
	}
	t.State, t.Updated = to, now
	t.Worker, t.LeaseUntil, t.NotBefore, t.Progress, t.behind = "", time.Time{}, time.Time{}, 0, false
	return t, nil
}

// Claimed is the task in the hands of a worker.
func (c Config) Claimed(t Task, worker string, now time.Time) (Task, error) {
	t, err := t.moved(InProgress, now)
	if err != nil {
		return t, err
	}
	t.Attempt++
	t.Worker, t.LeaseUntil = worker, now.Add(c.Lease)
	return t, nil
}

// Renewed is the task with its lease at full length again.
func (c Config) Renewed(t Task, attempt int, progress float64, now time.Time) (Task, error) {
	if !t.Holds(attempt) {
		return t, LeaseLost(t, attempt)
	}
	t.LeaseUntil, t.Progress = now.Add(c.Lease), progress
	return t, nil
}

// Done is the task with the result of the attempt that holds it.
func Done(t Task, r Result, now time.Time) (_ Task, changed bool, err error) {
	if t.State == Finished && t.Result.Attempt == r.Attempt {
		return t, false, nil
	}
	if !t.Holds(r.Attempt) {
		return t, false, LeaseLost(t, r.Attempt)
	}
	worker := t.Worker
	if t, err = t.moved(Finished, now); err != nil {
		return t, false, err
	}
	if r.Worker == "" {
		r.Worker = worker
	}
	t.Result, t.Progress = &r, 1
	return t, true, nil
}

// GivenUp is the task after the failure f of the attempt that holds it.
func (c Config) GivenUp(t Task, f Failure, now time.Time) (_ Task, changed bool, err error) {
	for _, old := range t.Failures {
		if old.Attempt == f.Attempt && !strings.HasSuffix(old.Reason, expiredReason) {
			return t, false, nil // told already; an expiry is not what the worker told
		}
	}
	if !t.Holds(f.Attempt) {
		return t, false, LeaseLost(t, f.Attempt)
	}
	t, err = c.failed(t, f, now)
	if t.State == NotStarted {
		t.NotBefore = now.Add(c.Backoff(t.ID, t.Tries))
	}
	return t, err == nil, err
}

// NextExpiry is Expiry.NextMillis when the first lease, pause and schedule end at
// ends, zero for none.
func (c Config) NextExpiry(now time.Time, ends ...time.Time) int64 {
	left := c.Lease
	for _, end := range ends {
		if !end.IsZero() {
			left = min(left, end.Sub(now))
		}
	}
	return max(0, (left + time.Millisecond - 1).Milliseconds())
}

// expiredReason is the reason of a failure that Expire records.
const expiredReason = "the worker stopped answering while it had the image"

// Expired is the task after its lease has run out. It may be claimed again at
// once, since the lease was wait enough.
func (c Config) Expired(t Task, now time.Time) (Task, error) {
	f := Failure{Attempt: t.Attempt, Worker: t.Worker, Retryable: true, Died: true, Reason: expiredReason}
	return c.failed(t, f, now)
}

// failed counts f and decides whether the task is tried again.
func (c Config) failed(t Task, f Failure, now time.Time) (Task, error) {
	if f.Worker == "" {
		f.Worker = t.Worker
	}
	f.At = now
	if f.Died && t.Deaths+1 >= c.MaxDeaths {
		f.Reason = fmt.Sprintf("the image killed its worker %d times; the last time: %s", t.Deaths+1, f.Reason)
	}
	t.Failures = append(slices.Clip(t.Failures), f)
	t.Failures = t.Failures[max(0, len(t.Failures)-MaxFailures):]
	t.Tries++
	if f.Died {
		t.Deaths++
	}
	to := NotStarted
	if !f.Retryable || t.Tries >= c.MaxTries || t.Deaths >= c.MaxDeaths {
		to = Failed
	}
	return t.moved(to, now)
}

// Released is the task given back by the attempt that holds it. With a pause it goes
// behind the others: it does not want the turn that it has.
func (c Config) Released(t Task, l Lease, now time.Time) (Task, error) {
	if !t.Holds(l.Attempt) {
		return t, LeaseLost(t, l.Attempt)
	}
	t, err := t.moved(NotStarted, now)
	if pause := c.pause(l); err == nil && pause > 0 {
		t.NotBefore, t.behind = now.Add(pause), true
	}
	return t, err
}

// Stopped is the task cancelled.
func Stopped(t Task, now time.Time) (_ Task, changed bool, err error) {
	if t.State == Cancelled {
		return t, false, nil
	}
	t, err = t.moved(Cancelled, now)
	return t, err == nil, err
}

// Removing is what becomes of a task that is removed: Cancelled, unless it is at
// its end already. told reports whether that is news.
func Removing(t Task, now time.Time) (_ Task, told bool) {
	stopped, told, err := Stopped(t, now)
	if err != nil {
		return t, false
	}
	return stopped, told
}

// Retried is the task as good as new, but for its attempts and its history. One
// that waits already stays as it is.
func Retried(t Task, now time.Time) (_ Task, changed bool, err error) {
	switch t.State {
	case NotStarted:
		return t, false, nil
	case InProgress: // the table allows the move, but by its worker only
		return t, false, BadMove(t, NotStarted)
	case Finished, Failed, Cancelled:
	}
	if t, err = t.moved(NotStarted, now); err != nil {
		return t, false, err
	}
	t.Tries, t.Deaths = 0, 0
	return t, true, nil
}

// Backoff is the pause of a task after a number of tries: BackoffMin doubled
// each time, up to BackoffMax, of which up to a half is taken off. How much
// depends on the ID, so that tasks which failed together do not come back
// together, yet every backend says the same.
func (c Config) Backoff(id string, tries int) time.Duration {
	d := c.BackoffMax
	if shift := max(tries-1, 0); shift < 20 {
		d = min(c.BackoffMin<<shift, c.BackoffMax)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(id + strconv.Itoa(tries))) // a hash does not fail
	off := time.Duration(float64(d/2) * float64(h.Sum32()) / (1 << 32))
	return (d - off).Truncate(time.Microsecond)
}

// maxEventTask bounds the task that an event carries, in bytes, far below the
// 1 MiB that NATS takes by default.
const maxEventTask = 64 << 10

// EventOf is what to publish after a change that left the task as it is.
func EventOf(t Task) events.Event {
	kind := events.Ended
	switch t.State {
	case NotStarted:
		kind = events.Queued
	case InProgress:
		kind = events.Progress
	case Finished, Failed, Cancelled:
	}
	e := events.Event{Kind: kind, TaskID: t.ID, State: string(t.State)}
	if kind == events.Queued {
		e.Needs = t.Needs
		if pause := t.NotBefore.Sub(t.Updated); !t.NotBefore.IsZero() && pause > 0 {
			e.InMillis = (pause + time.Millisecond - 1).Milliseconds()
		}
	}
	if kind == events.Ended {
		if data, err := json.Marshal(t); err == nil && len(data) <= maxEventTask {
			e.Task = data
		}
	}
	return e
}
