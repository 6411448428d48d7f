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
}

// Accepted names the image that a durable upload became.
type Accepted struct {
	ID string `json:"id"`
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
	// returns. A wrong pipeline or an empty body is fault.Invalid; an error of
	// u.Body comes back as it is, and nothing stays behind. After
	// fault.Unavailable the image may or may not have been taken in.
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

// Master is both sides.
type Master interface {
	Images
	WorkQueue
}
