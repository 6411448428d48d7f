package taskdb

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// State is where a task stands.
type State string

// The states. Finished, Failed and Cancelled are terminal until a retry.
const (
	NotStarted State = "notStarted"
	InProgress State = "inProgress"
	Finished   State = "finished"
	Failed     State = "failed"
	Cancelled  State = "cancelled"
)

// Task is one image to be turned into others.
type Task struct {
	// ID is a UUIDv7, made by the imagemaster.
	ID    string `json:"id"`
	State State  `json:"state"`
	// Pipeline is the validated pipeline document (pkg/pipeline).
	Pipeline json.RawMessage `json:"pipeline"`
	Original Blob            `json:"original"`
	// Needs is what carrying it out needs of a worker, as bits of which taskdb knows
	// no meaning; see [Claim].
	Needs uint64 `json:"needs,omitempty"`
	// Lane is where it waits, and Owner whose it is; see [Leases].Claim.
	Lane    Lane      `json:"lane,omitempty"`
	Owner   string    `json:"owner,omitempty"`
	Created time.Time `json:"created"`
	// Updated is when the state last changed.
	Updated time.Time `json:"updated"`
	// Attempt counts the claims so far and never falls; it is the fencing token.
	Attempt int `json:"attempt"`
	// Tries counts the attempts that used up one of the allowed ones: all that
	// ended in an error or a death since creation or the last Retry.
	Tries int `json:"tries"`
	// Deaths counts those among Tries in which the process died: an expired
	// lease, or a failure with Died set.
	Deaths int `json:"deaths"`
	// Worker holds the task while it is InProgress.
	Worker string `json:"worker,omitempty"`
	// LeaseUntil is when the lease ends, by taskdb's clock; zero without a lease.
	LeaseUntil time.Time `json:"leaseUntil,omitzero"`
	// NotBefore delays the next claim: to when the task is scheduled for, or by the
	// backoff after a retryable failure. It is zero once Claim or Expire found that it
	// has come.
	NotBefore time.Time `json:"notBefore,omitzero"`
	// Progress is the share of work done, 0 to 1, as the worker last said.
	Progress float64 `json:"progress"`
	// Result is what came of it; only a Finished task has one.
	Result *Result `json:"result,omitempty"`
	// Failures are the attempts that went wrong, oldest first, at most the
	// newest MaxFailures.
	Failures []Failure `json:"failures,omitempty"`
	// IdempotencyKey is that of NewTask; no other task has it.
	IdempotencyKey string `json:"idempotencyKey,omitempty"`
	// Expires is when the task is removed, whatever its state, by taskdb's clock; zero
	// for never.
	Expires time.Time `json:"expires,omitzero"`
	// Dedupe is that of NewTask.
	Dedupe bool `json:"dedupe,omitempty"`

	behind bool // for Again, while what a rule gave is saved; see Config.Released
}

// MaxFailures is how many failures a task keeps.
const MaxFailures = 20

// Blob says where image bytes lie in storage, and what they are.
type Blob struct {
	Key         string `json:"key"`
	Size        int64  `json:"size"`
	SHA256      string `json:"sha256"`
	ContentType string `json:"contentType"`
}

// Rendition is one finished picture.
type Rendition struct {
	Name string `json:"name"`
	Blob
	Format string `json:"format"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

// Result is what the attempt that finished a task made.
type Result struct {
	Attempt int    `json:"attempt"`
	Worker  string `json:"worker"`
	Engine  string `json:"engine,omitempty"`
	// EngineVersion changes with whatever may make another picture of the same image;
	// "" if that is not known.
	EngineVersion string      `json:"engineVersion,omitempty"`
	Width         int         `json:"width"`  // of the original, as stored
	Height        int         `json:"height"` // of the original, as stored
	Format        string      `json:"format"` // of the original
	Renditions    []Rendition `json:"renditions"`
	// Facts are what else was asked to be told of the original; nil for nothing.
	Facts *Facts `json:"facts,omitempty"`
}

// Facts are by-products of an image. A field that was not asked for, or that the
// image does not have, is empty.
type Facts struct {
	// EXIF is the metadata of the original as text, by the names of the tags. It
	// can hold the place where a picture was taken.
	EXIF map[string]string `json:"exif,omitempty"`
	// Colors are up to five colours, "#rrggbb", the most common one first.
	Colors []string `json:"colors,omitempty"`
	// BlurHash is a short text from which a blurred preview can be drawn.
	BlurHash string `json:"blurhash,omitempty"`
	// PHash is the perceptual hash: 64 bits as 16 hexadecimal digits.
	PHash string `json:"phash,omitempty"`
}

// clone gives a copy that shares nothing with f; nil for nil.
func (f *Facts) clone() *Facts {
	if f == nil {
		return nil
	}
	c := *f
	c.EXIF, c.Colors = maps.Clone(f.EXIF), slices.Clone(f.Colors)
	return &c
}

// Failure is one attempt that went wrong.
type Failure struct {
	Attempt int       `json:"attempt"`
	Worker  string    `json:"worker,omitempty"`
	At      time.Time `json:"at"`
	// Reason is a sentence for the user.
	Reason string `json:"reason"`
	// Retryable says that the same work may succeed later.
	Retryable bool `json:"retryable"`
	// Died says that a process died of it (or its lease ran out).
	Died bool `json:"died,omitempty"`
}

// NewTask is what Create records.
type NewTask struct {
	ID       string          `json:"id"`
	Pipeline json.RawMessage `json:"pipeline"`
	Original Blob            `json:"original"`
	// Needs is that of the task, below 2^53.
	Needs uint64 `json:"needs,omitempty"`
	Lane  Lane   `json:"lane,omitempty"`
	// Owner is an opaque name of who brings it, at most MaxOwner bytes; "" for nobody.
	Owner string `json:"owner,omitempty"`
	// NotBefore schedules the task for a time, by taskdb's clock, and DelayMillis for
	// so many milliseconds from its creation, both at most MaxAhead ahead. At most one
	// of the two is given; what has come already is at once. A repeat of the creation
	// does not change it.
	NotBefore   time.Time `json:"notBefore,omitzero"`
	DelayMillis int64     `json:"delayMillis,omitempty"`
	// IdempotencyKey is by what a repeat of the same upload under another ID is
	// known, 1 to 255 bytes of text, or "" for never. It counts as long as the task
	// is there.
	IdempotencyKey string `json:"idempotencyKey,omitempty"`
	// Expires is when the task is to be removed, and KeepMillis how long after its
	// creation, in milliseconds, at most MaxKeep; both by taskdb's clock. At most one of
	// the two is given. A repeat of the creation does not change it.
	Expires    time.Time `json:"expires,omitzero"`
	KeepMillis int64     `json:"keepMillis,omitempty"`
	// Dedupe says that the task may be found by [Twins], and so that its result may
	// serve others.
	Dedupe bool `json:"dedupe,omitempty"`
	// Result, if not nil, makes the task Finished from the beginning, by an attempt 1
	// that nobody claimed: a twin's result was copied. Only a task with Dedupe that is not
	// scheduled may have one.
	Result *Result `json:"result,omitempty"`
}

// MaxAhead is how far ahead a task can be scheduled.
const MaxAhead = 365 * 24 * time.Hour

// MaxOwner bounds the name of an owner, in bytes.
const MaxOwner = 64

// Claim asks for work.
type Claim struct {
	Worker string `json:"worker"`
	// Max is how many tasks at most, 1 to MaxClaim.
	Max int `json:"max"`
	// WaitedMillis is how long ago the worker itself asked, in milliseconds, where
	// another claims for a call that it has parked.
	WaitedMillis int64 `json:"waitedMillis,omitempty"`
	// Can is what the worker can do, as bits, and Others what each of the other
	// workers can that can do something else, at most MaxOthers. A task that the
	// worker cannot do, and one of the others can, is left to that. What nobody can do
	// is anybody's, so that it comes to an end.
	Can    uint64   `json:"can,omitempty"`
	Others []uint64 `json:"others,omitempty"`
}

// MaxOthers bounds Claim.Others.
const MaxOthers = 8

// Leaves reports whether a task with such needs is left to others.
func (c Claim) Leaves(needs uint64) bool {
	return needs&^c.Can != 0 && slices.ContainsFunc(c.Others, func(can uint64) bool { return needs&^can == 0 })
}

// MaxClaim bounds the tasks of one claim.
const MaxClaim = 64

// Lease names the attempt that a write belongs to.
type Lease struct {
	ID      string `json:"id"`
	Attempt int    `json:"attempt"`
	// PauseMillis is how long the task is not to be claimed after a Release, in
	// milliseconds, at most the longest backoff; other calls take no notice.
	PauseMillis int64 `json:"pauseMillis,omitempty"`
}

// Page is one page of a list, in rising order of ID.
type Page struct {
	Tasks []Task `json:"tasks"`
	// Next is the cursor of the next page, empty on the last one.
	Next string `json:"next,omitempty"`
}

// MaxPage bounds the tasks of one page; a limit of 0 means 100.
const MaxPage = 1000

// Stats counts the tasks by state.
type Stats struct {
	States map[State]int64 `json:"states"`
	// OldestWaiting is the creation time of the oldest NotStarted task that is not
	// scheduled for later; zero for none.
	OldestWaiting time.Time `json:"oldestWaiting,omitzero"`
}

// Tasks is the side of those who bring tasks and ask about them. All methods
// are safe for concurrent use and bounded by ctx; a fault.Unavailable means
// that the store cannot be reached and, for a write, that it may or may not
// have happened.
type Tasks interface {
	// Create records a NotStarted task durably. A malformed ID, pipeline or blob is
	// fault.Invalid. An ID that exists with the same content returns that task and
	// changes nothing, so a repeat is safe; with other content it is fault.Conflict.
	// If another task has the same IdempotencyKey, nothing is recorded: that task,
	// with its own ID, is returned if its original's bytes and its pipeline are the
	// same, and else it is fault.Unprocessable.
	Create(ctx context.Context, t NewTask) (Task, error)
	// Get gives the task, or fault.NotFound.
	Get(ctx context.Context, id string) (Task, error)
	// List gives the tasks of a state with IDs above after ("" for the first), at
	// most limit (0: 100, at most MaxPage). Unknown state or limit: fault.Invalid.
	// A walk from "" gives every task that was in the state all the while. It is no
	// feed of what is new: IDs are made by the masters' clocks, so a new task may
	// lie below a cursor that has passed it.
	List(ctx context.Context, state State, after string, limit int) (Page, error)
	// Cancel ends a NotStarted or InProgress task as Cancelled; the attempt in hand
	// loses its lease. Cancelled already: no change, no error. Finished or Failed:
	// fault.Conflict with the state. Unknown: fault.NotFound.
	Cancel(ctx context.Context, id string) (Task, error)
	// Retry makes a Failed or Cancelled task NotStarted again, with all tries
	// before it, and at the end of its owner's queue. NotStarted already: no change. InProgress or Finished:
	// fault.Conflict. Unknown: fault.NotFound.
	Retry(ctx context.Context, id string) (Task, error)
	// Stats counts tasks by state.
	Stats(ctx context.Context) (Stats, error)
}

// Leases is the side of those who do the work. A write that names an attempt
// which does not hold the lease (finished elsewhere, expired and claimed again,
// released, cancelled, unknown) changes nothing and is fault.Conflict with the
// task's state, or fault.NotFound for an unknown task. A lease that has run out
// but was neither expired nor claimed again still holds.
type Leases interface {
	// Claim takes up to c.Max NotStarted tasks whose NotBefore has come, but for those
	// that it leaves to others, atomically: InProgress, Attempt+1, a lease of the
	// configured length. It gives them oldest first. No work is an empty slice and no
	// error. A claim for a call that the worker made before its last lease ran out is
	// fault.Conflict, since the worker may be stopped and only its connection alive; it
	// has to ask again.
	//
	// Which it takes: those of the lane Interactive before those of Batch; but while
	// both have some, of BatchShare tasks that a taskdb process hands out one is of
	// Batch. Within a lane the owners take turns, one task each, and within an owner
	// the oldest goes first. A task gets its turn when it is created, retried, released
	// with a pause, or its schedule has come: behind its owner's others, but never before the one that was
	// claimed last, so that nobody can save up turns, nor pays for turns had before. It
	// keeps its turn when it comes back otherwise (released, expired, failed but tried again) and
	// so goes before those who have not been served. A task without an owner is an owner
	// by itself, so that where nobody has a name the oldest goes first.
	//
	// Several processes that share a database give turns without waiting for each
	// other: an owner who creates tasks through n of their connections at the same
	// moment can get up to n of them into one turn.
	Claim(ctx context.Context, c Claim) ([]Task, error)
	// Renew extends the lease to its full length from now and records progress
	// (0 to 1). It gives the new end.
	Renew(ctx context.Context, l Lease, progress float64) (time.Time, error)
	// Finish makes the task Finished with its result; r.Attempt is the attempt. A
	// repeat by the attempt that finished it returns the task and changes nothing.
	Finish(ctx context.Context, id string, r Result) (Task, error)
	// Fail records f of attempt f.Attempt. The task is Failed if f is not
	// retryable, or its Tries reach the configured most, or its Deaths do;
	// otherwise NotStarted, not before a backoff. A repeat by the same attempt
	// returns the task and changes nothing.
	Fail(ctx context.Context, id string, f Failure) (Task, error)
	// Release gives the task back unharmed: NotStarted at once, no try used up, and to
	// be claimed after l.PauseMillis.
	Release(ctx context.Context, l Lease) error
	// Expire ends every lease that has run out, up to 1000 at once, as a Failure
	// with Died set and retryable, and returns the tasks whose leases it ended, and when
	// it is worth calling again. It also ends the pauses and schedules that are over, up
	// to MaxWake of each, of which the events tell: they can be claimed. A task that is
	// tried again can be claimed at once: its lease was wait enough. A lease or a
	// pause that ends later than one that begins now (the clock was set back, or a
	// setting was) is shortened to that, so that nobody waits for a clock.
	Expire(ctx context.Context) (Expiry, error)
}

// Expiry is what one [Leases].Expire did.
type Expiry struct {
	// Tasks are those whose leases it ended, as they are now.
	Tasks []Task `json:"tasks"`
	// NextMillis is how long it takes until the next lease can run out, or the next
	// pause or schedule is over, in whole milliseconds, rounded up: the first of those
	// that there are now, but no longer than a lease that begins in this moment. 0 says
	// that more are over already, or that this taskdb does not tell.
	NextMillis int64 `json:"nextMillis,omitempty"`
}

// MaxWake bounds the pauses, and the schedules, that one call ends.
const MaxWake = 256

// Owners is the side of those who look after the tasks of one owner, or, with
// the owner "", of all.
type Owners interface {
	// ListOwned is List for the tasks of one owner. Its cost does not depend on how
	// many tasks others have.
	ListOwned(ctx context.Context, owner string, state State, after string, limit int) (Page, error)
	// RetryFailed does what Retry does to the owner's Failed tasks with IDs above
	// after, at most limit (0: 100, at most MaxPage), all of them or, with an error,
	// none. Whoever goes on with Next until it is empty has retried every task that was
	// Failed all the while, each once, however often it fails again. A repeat finds what
	// is still Failed, so it is safe. A limit out of range is fault.Invalid.
	RetryFailed(ctx context.Context, owner, after string, limit int) (Retries, error)
}

// Retries is what one RetryFailed did.
type Retries struct {
	// Retried is how many tasks it changed.
	Retried int `json:"retried"`
	// Next is the cursor to go on from, empty when there is nothing more.
	Next string `json:"next,omitempty"`
}

// Store is all of taskdb.
type Store interface {
	Tasks
	Leases
	Owners
	Removals
	Twins
}
