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
	Needs   uint64    `json:"needs,omitempty"`
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
	// NotBefore delays the next claim (backoff after a retryable failure).
	NotBefore time.Time `json:"notBefore,omitzero"`
	// Progress is the share of work done, 0 to 1, as the worker last said.
	Progress float64 `json:"progress"`
	// Result is what came of it; only a Finished task has one.
	Result *Result `json:"result,omitempty"`
	// Failures are the attempts that went wrong, oldest first, at most the
	// newest MaxFailures.
	Failures []Failure `json:"failures,omitempty"`
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
	Attempt    int         `json:"attempt"`
	Worker     string      `json:"worker"`
	Engine     string      `json:"engine,omitempty"`
	Width      int         `json:"width"`  // of the original, as stored
	Height     int         `json:"height"` // of the original, as stored
	Format     string      `json:"format"` // of the original
	Renditions []Rendition `json:"renditions"`
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
}

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
	// OldestWaiting is the creation time of the oldest NotStarted task; zero for none.
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
	// before it. NotStarted already: no change. InProgress or Finished:
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
	// Claim takes up to c.Max NotStarted tasks whose NotBefore has come, oldest
	// first, but for those that it leaves to others, in one atomic statement: InProgress, Attempt+1, a lease of the
	// configured length. No work is an empty slice and no error. A claim for a call
	// that the worker made before its last lease ran out is fault.Conflict, since
	// the worker may be stopped and only its connection alive; it has to ask again.
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
	// Release gives the task back unharmed: NotStarted at once, no try used up.
	Release(ctx context.Context, l Lease) error
	// Expire ends every lease that has run out, up to 1000 at once, as a Failure
	// with Died set and retryable, and returns the tasks it changed, and when it is
	// worth calling again. A task that is
	// tried again can be claimed at once: its lease was wait enough. A lease or a
	// pause that ends later than one that begins now (the clock was set back, or a
	// setting was) is shortened to that, so that nobody waits for a clock.
	Expire(ctx context.Context) (Expiry, error)
}

// Expiry is what one [Leases].Expire did.
type Expiry struct {
	// Tasks are those whose leases it ended, as they are now.
	Tasks []Task `json:"tasks"`
	// NextMillis is how long it takes until the next lease can run out, in whole
	// milliseconds, rounded up: the first that is held now, but no longer than a
	// lease that begins in this moment. 0 says that more have run out already, or
	// that this taskdb does not tell.
	NextMillis int64 `json:"nextMillis,omitempty"`
}

// Store is all of taskdb.
type Store interface {
	Tasks
	Leases
}
