package imagemaster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"imagemill/internal/ability"
	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// NewImage stores the blob first and records the task second, so that a crash
// in between leaves an orphaned blob, which the sweeper finds, and never a task
// that points at nothing.
func (s *Service) NewImage(ctx context.Context, u Upload) (Accepted, error) {
	p, err := s.pipelines.Get(u.Pipeline, pipeline.Parse)
	if err != nil {
		return Accepted{}, InvalidPipeline(err)
	}
	n := taskdb.NewTask{
		Lane: u.Lane, Owner: u.Owner, NotBefore: u.NotBefore, DelayMillis: u.Delay.Milliseconds(),
		IdempotencyKey: u.IdempotencyKey, KeepMillis: u.Keep.Milliseconds(), Expires: u.Expires, Dedupe: u.Dedupe,
	}
	if err := errors.Join(n.ValidateQueue(time.Now()), n.ValidateKeep()); err != nil {
		return Accepted{}, err
	}
	if !printable(u.IdempotencyKey) {
		return Accepted{}, fault.Newf(fault.Invalid, "must be at most %d characters of printable ASCII", maxKey).WithField("Idempotency-Key")
	}
	if err := s.backlog.admit(ctx); err != nil {
		return Accepted{}, err
	}
	uid, err := uuid.NewV7()
	if err != nil {
		return Accepted{}, fmt.Errorf("make image ID: %w", err)
	}
	id := uid.String()
	ref := OriginalRef(id)
	info, err := s.deps.Blobs.Put(ctx, ref, u.Body, storage.PutOptions{Size: u.Size})
	if err != nil {
		return Accepted{}, fmt.Errorf("store original %s: %w", id, err)
	}
	if info.Size == 0 {
		s.discard(ctx, ref)
		return Accepted{}, fault.New(fault.Invalid, "the body is empty; send the bytes of an image")
	}
	// The client may hang up now: what is stored is recorded all the same, within
	// a time that is well below the age at which the sweeper takes orphans away.
	rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.RecordTimeout)
	defer cancel()
	n.ID, n.Pipeline, n.Needs = id, u.Pipeline, uint64(ability.Needs(p, sniff.ByMIME(u.ContentType)))
	n.Original = taskdb.Blob{Key: ref.Key, Size: info.Size, SHA256: info.SHA256, ContentType: u.ContentType}
	s.atUpload(rctx, &n)
	if n.Result == nil {
		s.wakes.begin(id)
	}
	err = s.deps.Records.Record(rctx, taskdb.Record{Create: &n})[0]
	if err != nil {
		s.wakes.forget(id)
		if first, ok := taskdb.Repeated(n, err); ok {
			s.discardAll(ctx, ref, n.Result)
			return Accepted{ID: first}, nil
		}
		// Any other refusal may be that of a repeat, which the transport makes when a
		// connection breaks: the first sending may have recorded the task, before the
		// queue or the disk was full, or by a taskdb of another version. Then the blob
		// must stay: the sweeper decides. But a key that another task has is not ours.
		if fault.Is(err, fault.Unprocessable) {
			s.discardAll(ctx, ref, n.Result)
		}
		return Accepted{}, fmt.Errorf("record task %s: %w", id, err)
	}
	if n.Result != nil {
		s.recent.ended(s.deps.Now(), id, n.Result.Renditions)
		s.dedupe.count.WithLabelValues(atUpload).Inc()
		return Accepted{ID: id, State: StateFinished}, nil
	}
	s.backlog.recorded()
	return Accepted{ID: id}, nil
}

// discardAll removes an original, and what was copied for it.
func (s *Service) discardAll(ctx context.Context, original storage.Ref, r *taskdb.Result) {
	s.discard(ctx, original)
	if r != nil {
		s.dedupe.discard(ctx, r.Renditions)
	}
}

// maxKey bounds Upload.IdempotencyKey, in characters.
const maxKey = 255

func printable(key string) bool {
	return len(key) <= maxKey && !strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' })
}

// InvalidPipeline gives an error of pkg/pipeline its kind and keeps its path.
func InvalidPipeline(err error) error {
	if pe, ok := errors.AsType[*pipeline.Error](err); ok {
		return fault.New(fault.Invalid, pe.Message).WithField(pe.Path)
	}
	return fault.Wrap(fault.Invalid, "the pipeline is not valid", err)
}

// discard removes a blob that nobody will ask for. A failure is left to the sweeper.
func (s *Service) discard(ctx context.Context, ref storage.Ref) {
	if err := s.deps.Blobs.Delete(context.WithoutCancel(ctx), ref); err != nil {
		s.deps.Log.Warn("discard blob; the sweeper will", "key", ref.Key, "error", err)
	}
}

// IsReady reads the truth first, unless this master recorded the task itself and
// has not heard of its end; then it waits for the event of the end, which
// carries the task, and reads again at every slow poll, in case that was lost.
func (s *Service) IsReady(ctx context.Context, id string, wait time.Duration) (Status, error) {
	if err := checkID(id); err != nil {
		return Status{}, err
	}
	w := s.wakes.watch(id)
	defer w.stop()
	deadline := time.NewTimer(bounded(wait))
	defer deadline.Stop()
	slow := time.NewTicker(s.cfg.Poll)
	defer slow.Stop()
	last := wait <= 0
	read := last || !w.fresh
	for {
		if read {
			t, err := s.deps.Tasks.Get(ctx, id)
			if err != nil {
				return Status{}, fmt.Errorf("get task %s: %w", id, err)
			}
			if st := statusOf(t); st.State != StateInProgress || last {
				return st, nil
			}
		}
		ended, again := s.await(ctx, w, slow.C, deadline)
		if st, ok := outcome(ended); ok {
			return st, nil
		}
		last, read = !again, true
	}
}

// outcome reads the task that an event carried; false where it says nothing of
// use, and taskdb has to be asked.
func outcome(event json.RawMessage) (Status, bool) {
	var t taskdb.Task
	if len(event) == 0 || json.Unmarshal(event, &t) != nil {
		return Status{}, false
	}
	st := statusOf(t)
	return st, st.State != StateInProgress
}

// statusOf tells a user about a task.
func statusOf(t taskdb.Task) Status {
	st := Status{
		ID: t.ID, State: userState(t.State), Progress: t.Progress, Created: t.Created, Updated: t.Updated, Attempts: t.Attempt,
		Lane: t.Lane, NotBefore: t.NotBefore, Expires: t.Expires,
		Original: Picture{ContentType: t.Original.ContentType, Size: t.Original.Size, SHA256: t.Original.SHA256},
	}
	for _, f := range t.Failures {
		st.Failures = append(st.Failures, f.Reason)
	}
	if t.State == taskdb.Failed && len(t.Failures) > 0 {
		st.Error = t.Failures[len(t.Failures)-1].Reason
	}
	if r := t.Result; r != nil {
		st.Progress, st.Facts = 1, r.Facts
		st.Original.Format, st.Original.Width, st.Original.Height = r.Format, r.Width, r.Height
		for _, p := range r.Renditions {
			st.Results = append(st.Results, Picture{
				Name: p.Name, Format: p.Format, ContentType: p.ContentType,
				Width: p.Width, Height: p.Height, Size: p.Size, SHA256: p.SHA256,
			})
		}
	}
	return st
}

// userState folds the two states before the end into one.
func userState(s taskdb.State) string {
	switch s {
	case taskdb.Finished:
		return StateFinished
	case taskdb.Failed:
		return StateFailed
	case taskdb.Cancelled:
		return StateCancelled
	case taskdb.NotStarted, taskdb.InProgress:
		return StateInProgress
	}
	return StateInProgress
}

// Get opens what the attempt that finished the task has made.
func (s *Service) Get(ctx context.Context, id, rendition string, span storage.Span) (Image, error) {
	if err := checkID(id); err != nil {
		return Image{}, err
	}
	made, err := s.made(ctx, id)
	if err != nil {
		return Image{}, err
	}
	r, ok := pick(made, rendition)
	if !ok {
		return Image{}, fault.Newf(fault.NotFound, "image %s has no rendition %.64q", id, rendition).WithField("rendition")
	}
	obj, err := s.deps.Blobs.Get(ctx, storage.Ref{State: storage.Finished, Key: r.Key}, span)
	if err != nil {
		return Image{}, fmt.Errorf("open rendition %s: %w", r.Key, err)
	}
	return Image{Object: obj, ContentType: r.ContentType, Name: r.Name, Format: r.Format}, nil
}

// made is what came of an image, or why there is nothing.
func (s *Service) made(ctx context.Context, id string) ([]taskdb.Rendition, error) {
	if made, ok := s.recent.of(s.deps.Now(), id); ok {
		return made, nil
	}
	t, err := s.deps.Tasks.Get(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("get task %s: %w", id, err)
	}
	if err := unfinished(t); err != nil {
		return nil, err
	}
	s.recent.ended(s.deps.Now(), id, t.Result.Renditions)
	return t.Result.Renditions, nil
}

// unfinished says why a task has nothing to download; nil if it has.
func unfinished(t taskdb.Task) error {
	st := statusOf(t)
	switch st.State {
	case StateFinished:
		return nil
	case StateFailed:
		return fault.Newf(fault.Unprocessable, "the image could not be processed: %s", st.Error).WithState(st.State)
	}
	return fault.Newf(fault.Conflict, "image %s is %s", t.ID, st.State).WithState(st.State)
}

func pick(all []taskdb.Rendition, name string) (taskdb.Rendition, bool) {
	for _, r := range all {
		if name == "" || r.Name == name {
			return r, true
		}
	}
	return taskdb.Rendition{}, false
}

// compile-time proof that the service and its client keep the contract.
var (
	_ Master = (*Service)(nil)
	_ Master = (*Client)(nil)
)
