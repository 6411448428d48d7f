package imagemaster

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"imagemill/internal/ability"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// Upload is an original on its way in.
type Upload struct {
	// Pipeline is the validated document of what to make (pkg/pipeline).
	Pipeline json.RawMessage
	// ContentType is the media type that the magic bytes spoke of.
	ContentType string
	// Size is the length of Body in bytes, or -1 for unknown.
	Size int64
	// Body gives the bytes; it is read once and not closed.
	Body io.Reader
	// Lane is where its work waits, and Owner whose turn it uses; see taskdb.Leases.
	Lane  taskdb.Lane
	Owner string
	// NotBefore, or Delay from now, is when its work may begin: at most one of the two
	// is set, at most taskdb.MaxAhead ahead.
	NotBefore time.Time
	Delay     time.Duration
	// IdempotencyKey is by what a repeat of this upload is known, 1 to 255
	// characters of printable ASCII, or "" for never. Users share these keys, so a
	// frontend makes them of theirs.
	IdempotencyKey string
	// Keep is for how long the image is to be kept from now, and Expires until when, at
	// most one of both; by taskdb's clock, and at most MaxKeep. Zero is for as
	// long as the settings say.
	Keep    time.Duration
	Expires time.Time
	// Dedupe spares the work where it was, or is being, done on the same bytes of the
	// same owner with the same pipeline by the same version of an engine.
	Dedupe bool
}

// MaxAhead is how far ahead the work of an image can be scheduled.
const MaxAhead = taskdb.MaxAhead

// MaxKeep is the longest time for which an image is kept, but for ever.
const MaxKeep = taskdb.MaxKeep

// MaxPage bounds the images of one page, and of one RetryFailed.
const MaxPage = taskdb.MaxPage

// ParseLane reads the name of a lane, "interactive" or "batch", "" for the former.
// Any other is fault.Invalid.
func ParseLane(name string) (taskdb.Lane, error) { return taskdb.ParseLane(name) }

// Accepted names the image that a durable upload became.
type Accepted struct {
	ID string `json:"id"`
	// State is StateFinished where there is nothing to wait for, or "".
	State string `json:"state,omitempty"`
}

// The states as users see them; "not found" is an error, not a state.
const (
	StateInProgress = "in progress"
	StateFinished   = "finished"
	StateFailed     = "failed"
	StateCancelled  = "cancelled"
)

// Status is what a user may know of an image.
type Status struct {
	ID    string `json:"id"`
	State string `json:"state"`
	// Progress is the share of the work that is done, 0 to 1.
	Progress float64   `json:"progress"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
	// Lane is "batch" for an image whose work may wait for that of others.
	Lane taskdb.Lane `json:"lane,omitempty"`
	// NotBefore is when work on it may begin, or begin again, while that is to come.
	NotBefore time.Time `json:"notBefore,omitzero"`
	// Expires is when the image is removed; zero for as long as the settings say.
	Expires time.Time `json:"expires,omitzero"`
	// Attempts counts how often a worker took the image up.
	Attempts int `json:"attempts"`
	// Error is the sentence that says why a failed image failed.
	Error string `json:"error,omitempty"`
	// Failures are the reasons of all attempts that went wrong, oldest first.
	Failures []string  `json:"failures,omitempty"`
	Original Picture   `json:"original"`
	Results  []Picture `json:"renditions,omitempty"`
	// Facts are what the pipeline asked to be told of the original, once it is
	// finished; nil for nothing.
	Facts *taskdb.Facts `json:"facts,omitempty"`
}

// Picture describes an original or a rendition.
type Picture struct {
	Name        string `json:"name,omitempty"`
	Format      string `json:"format,omitempty"`
	ContentType string `json:"contentType"`
	Width       int    `json:"width,omitempty"`  // in pixels, once known
	Height      int    `json:"height,omitempty"` // in pixels, once known
	Size        int64  `json:"size"`             // in bytes
	SHA256      string `json:"sha256"`
	// URL is where the picture is downloaded, on the frontend that answered.
	URL string `json:"url,omitempty"`
}

// Image is an open rendition. Close Body after use.
type Image struct {
	storage.Object
	ContentType string
	// Name is the rendition's name and Format its format, for a file name.
	Name, Format string
}

// Images is the side of the frontend. A store that cannot be reached is
// fault.Unavailable everywhere.
type Images interface {
	// NewImage stores the original and records its task; both are durable when it
	// returns. A wrong pipeline or an empty body is fault.Invalid; while more images
	// wait than may it is fault.Overloaded, with when to come back, and u.Body is
	// not read; an error of u.Body comes back as it is, and nothing stays behind. After
	// fault.Unavailable the image may or may not have been taken in. If there is an
	// image with the same IdempotencyKey, that is what is given, and nothing new
	// stays behind; if its bytes or its pipeline are others, fault.Unprocessable.
	NewImage(ctx context.Context, u Upload) (Accepted, error)
	// IsReady gives the status, at once if wait is 0 or the image has reached its
	// end; otherwise when it does, or when wait (at most MaxWait) is over. A
	// malformed ID is fault.Invalid, an unknown one fault.NotFound.
	IsReady(ctx context.Context, id string, wait time.Duration) (Status, error)
	// Get opens a rendition, the first of the pipeline for the name "". In progress
	// or cancelled: fault.Conflict with the state. Failed: fault.Unprocessable with
	// the reason. Unknown image or rendition: fault.NotFound. A span outside it:
	// fault.Range.
	Get(ctx context.Context, id, rendition string, span storage.Span) (Image, error)
}

// Listing is one page of images, in rising order of ID.
type Listing struct {
	Images []Status `json:"images"`
	// Next is the cursor of the next page, empty on the last one.
	Next string `json:"next,omitempty"`
}

// Care is the side of the frontend on which owners look after what they brought. The
// owner "" is everybody; another one's images are fault.NotFound. A store that cannot
// be reached is fault.Unavailable. All calls are safe to repeat.
type Care interface {
	// List gives the images in a state that is an end (StateFinished, StateFailed,
	// StateCancelled) with IDs above after, at most limit (0: 100, at most
	// taskdb.MaxPage). Another state or limit is fault.Invalid.
	List(ctx context.Context, owner, state, after string, limit int) (Listing, error)
	// Cancel ends an image that is in progress; a worker that has it stops. Cancelled
	// already: no change. Finished or failed: fault.Conflict with the state.
	Cancel(ctx context.Context, owner, id string) (Status, error)
	// Retry lets a failed or cancelled image be worked again. In progress but not in a
	// worker's hands: no change. Otherwise fault.Conflict with the state.
	Retry(ctx context.Context, owner, id string) (Status, error)
	// RetryFailed retries the failed images with IDs above after, at most limit (0: 100,
	// at most taskdb.MaxPage); see taskdb.Owners.
	RetryFailed(ctx context.Context, owner, after string, limit int) (taskdb.Retries, error)
	// Delete removes an image with all that belongs to it, whatever its state; work
	// in hand is cancelled first. It is gone, durably, when this returns; a blob
	// that cannot be removed now is removed by the sweeper. An unknown one, and another
	// owner's, which is left alone, is no error. A malformed ID is fault.Invalid.
	Delete(ctx context.Context, owner, id string) error
}

// MaxWait bounds every long poll.
const MaxWait = 60 * time.Second

// WorkRequest asks for work.
type WorkRequest struct {
	// Worker names the caller; it is unique among all workers that ever ran.
	Worker string
	// Max is how many tasks at most, 1 to taskdb.MaxClaim.
	Max int
	// Wait is how long to wait for work, at most MaxWait.
	Wait time.Duration
	// Can is what the worker's engines can do, and Others what those of other workers
	// can, at most taskdb.MaxOthers; see taskdb.Claim. Without them, all work is taken.
	Can    ability.Set
	Others []ability.Set
	// Engine is the version of its engine, as in taskdb.Result.EngineVersion, at most
	// 200 characters.
	Engine string
}

// Work is one task in a worker's hands.
type Work struct {
	ID       string          `json:"id"`
	Attempt  int             `json:"attempt"`
	Pipeline json.RawMessage `json:"pipeline"`
	Original taskdb.Blob     `json:"original"`
	// LeaseMillis is how long the lease lasts from now, in milliseconds.
	LeaseMillis int64 `json:"leaseMillis"`
}

// FailedWork reports an attempt that went wrong.
type FailedWork struct {
	ID      string `json:"id"`
	Attempt int    `json:"attempt"`
	Worker  string `json:"worker"`
	// Reason is a sentence for the user.
	Reason string `json:"reason"`
	// Retryable says that the same work may succeed later.
	Retryable bool `json:"retryable"`
	// Died says that the engine process died of it.
	Died bool `json:"died,omitempty"`
}

// FinishedWork reports the result of an attempt.
type FinishedWork struct {
	ID     string        `json:"id"`
	Result taskdb.Result `json:"result"`
}

// ProgressReport renews a lease.
type ProgressReport struct {
	ID       string  `json:"id"`
	Attempt  int     `json:"attempt"`
	Progress float64 `json:"progress"` // 0 to 1
}

// WorkQueue is the side of the workers. A report of an attempt that no longer
// holds its lease is fault.Conflict: the worker drops what it has. Repeating a
// report is safe; repeating GetWork is not needed.
type WorkQueue interface {
	// GetWork gives up to r.Max tasks, waiting up to r.Wait for the first; none is
	// an empty slice and no error. The wait ends early when a lease of the worker
	// runs out meanwhile: that the call is still open is no proof of life.
	GetWork(ctx context.Context, r WorkRequest) ([]Work, error)
	// WorkProgress renews the lease and records progress.
	WorkProgress(ctx context.Context, p ProgressReport) error
	// WorkFinished records the result. A result that names blobs of another attempt
	// is fault.Invalid.
	WorkFinished(ctx context.Context, w FinishedWork) error
	// WorkFailed records the failure; whether the task is tried again is taskdb's.
	WorkFailed(ctx context.Context, w FailedWork) error
	// WorkReleased gives a task back unharmed.
	WorkReleased(ctx context.Context, l taskdb.Lease) error
}

// Master is all sides.
type Master interface {
	Images
	Care
	WorkQueue
}
