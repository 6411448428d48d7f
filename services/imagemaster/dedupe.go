package imagemaster

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"imagemill/internal/fault"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

const (
	// engineSeen is how long an engine counts as one of those at work after a worker
	// with it asked for work, which each does once in MaxWait.
	engineSeen = 2 * MaxWait
	// maxEngines bounds the engines that are remembered.
	maxEngines = 64
	// spareAtOnce is how many tasks of one claim are looked at, and how many blobs of
	// one result copied, at a time.
	spareAtOnce = 4
	// A task whose twin is at work is given back for as long again as that has been, but
	// within these bounds, so that a long job costs few looks and a short one little time.
	twinPauseMin, twinPauseMax = 100 * time.Millisecond, 5 * time.Second
)

// deduper spares work that was done, or is being done, for a twin of a task; see
// taskdb.Twins. Each image keeps blobs of its own: what a twin has is copied.
type deduper struct {
	tasks taskdb.Twins
	blobs storage.Store
	now   func() time.Time
	count *prometheus.CounterVec

	mu      sync.Mutex
	engines map[string]time.Time // versions, and when a worker with one asked last
}

// The ways in which work is spared, by the label "how".
const (
	atUpload = "upload"
	atClaim  = "claim"
)

func newDeduper(d Deps) *deduper {
	return &deduper{
		tasks: d.Tasks, blobs: d.Blobs, now: d.Now, engines: map[string]time.Time{},
		count: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "imagemill_imagemaster_deduplicated_total",
			Help: "Images that got the result of a twin, by when: at the upload, or when a worker would have got them.",
		}, []string{"how"}),
	}
}

// note remembers the engine of a worker that asks for work.
func (d *deduper) note(version string) {
	if version == "" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.engines[version]; !known && len(d.engines) >= maxEngines {
		clear(d.engines)
	}
	d.engines[version] = d.now()
}

// current reports whether a worker that would do the work now might have the engine.
func (d *deduper) current(version string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	seen, ok := d.engines[version]
	return ok && d.now().Sub(seen) < engineSeen
}

// result gives what serves as the result of attempt of the image, out of those of
// its twins: copied, so that deleting one leaves the other. Nil is for none.
func (d *deduper) result(ctx context.Context, id string, attempt int, twins []taskdb.Task) (*taskdb.Result, error) {
	for _, t := range twins {
		if t.State != taskdb.Finished || t.ID == id || !d.current(t.Result.EngineVersion) {
			continue
		}
		r := *t.Result
		r.Attempt, r.Renditions = attempt, slices.Clone(r.Renditions)
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(spareAtOnce)
		for i := range r.Renditions {
			from, to := r.Renditions[i], RenditionRef(id, attempt, r.Renditions[i].Name)
			r.Renditions[i].Key = to.Key
			g.Go(func() error { return d.copy(gctx, from.Blob, to) })
		}
		err := g.Wait()
		if err == nil {
			return &r, nil
		}
		d.discard(ctx, r.Renditions)
		if !fault.Is(err, fault.NotFound) { // it was deleted meanwhile
			return nil, err
		}
	}
	return nil, nil
}

// copy copies a rendition; the store compares what arrives with what it is to be.
func (d *deduper) copy(ctx context.Context, from taskdb.Blob, to storage.Ref) error {
	o, err := storage.GetUnchecked(ctx, d.blobs, storage.Ref{State: storage.Finished, Key: from.Key})
	if err != nil {
		return err
	}
	_, err = d.blobs.Put(ctx, to, o.Body, storage.PutOptions{Size: from.Size, SHA256: from.SHA256})
	return errors.Join(err, o.Body.Close())
}

// discard removes copies that are not needed; what fails is left to the sweeper.
func (d *deduper) discard(ctx context.Context, made []taskdb.Rendition) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for _, r := range made {
		_ = d.blobs.Delete(ctx, storage.Ref{State: storage.Finished, Key: r.Key})
	}
}

// atUpload gives a new task the result of a twin, where one has ended. Without, and
// where anything goes wrong, the task is worked like any other.
func (s *Service) atUpload(ctx context.Context, n *taskdb.NewTask) {
	if !n.Dedupe || !n.NotBefore.IsZero() || n.DelayMillis != 0 {
		return
	}
	l := taskdb.Likeness{Owner: n.Owner, SHA256: n.Original.SHA256, Size: n.Original.Size, Pipeline: n.Pipeline}
	twins, err := s.dedupe.tasks.Twins(ctx, l)
	if err == nil {
		n.Result, err = s.dedupe.result(ctx, n.ID, 1, twins)
	}
	if err != nil {
		s.deps.Log.Warn("look for a finished twin; the image is worked itself", "id", n.ID, "error", err)
	}
}

// spare ends those of the claimed tasks that a twin's result serves, gives back those
// whose twin is at work, and gives those that are to be worked.
func (s *Service) spare(ctx context.Context, tasks []taskdb.Task) []taskdb.Task {
	if !slices.ContainsFunc(tasks, func(t taskdb.Task) bool { return t.Dedupe }) {
		return tasks
	}
	left := make([]bool, len(tasks))
	var g errgroup.Group
	g.SetLimit(spareAtOnce)
	for i, t := range tasks {
		if t.Dedupe {
			g.Go(func() error { left[i] = s.spareOne(ctx, t); return nil })
		} else {
			left[i] = true
		}
	}
	_ = g.Wait() // nothing fails
	var work []taskdb.Task
	for i, t := range tasks {
		if left[i] {
			work = append(work, t)
		}
	}
	return work
}

// spareOne reports whether the task is to be worked.
func (s *Service) spareOne(ctx context.Context, t taskdb.Task) bool {
	twins, err := s.dedupe.tasks.Twins(ctx, taskdb.LikenessOf(t))
	var r *taskdb.Result
	if err == nil {
		r, err = s.dedupe.result(ctx, t.ID, t.Attempt, twins)
	}
	switch {
	case err != nil:
		s.deps.Log.Warn("look for twins; the image is worked itself", "id", t.ID, "error", err)
		return true
	case r != nil:
		err := s.deps.Records.Record(ctx, taskdb.Record{Finish: &taskdb.Finish{ID: t.ID, Result: *r}})[0]
		switch {
		case err == nil:
			s.recent.ended(s.deps.Now(), t.ID, r.Renditions)
			s.dedupe.count.WithLabelValues(atClaim).Inc()
			return false
		case fault.Is(err, fault.Conflict), fault.Is(err, fault.NotFound):
			s.dedupe.discard(ctx, r.Renditions) // cancelled, or deleted, meanwhile
			return false
		}
		// It may have ended or not: the worker, or the lease, finds out.
		s.deps.Log.Warn("end the task with its twin's result; the image is worked itself", "id", t.ID, "error", err)
		return true
	}
	before := func(a, b taskdb.Task) bool { return cmp.Or(a.Updated.Compare(b.Updated), cmp.Compare(a.ID, b.ID)) < 0 }
	for _, twin := range twins {
		if twin.State != taskdb.InProgress || !before(twin, t) {
			continue
		}
		pause := min(max(t.Updated.Sub(twin.Updated), twinPauseMin), twinPauseMax)
		err := s.deps.Tasks.Release(ctx, taskdb.Lease{ID: t.ID, Attempt: t.Attempt, PauseMillis: pause.Milliseconds()})
		if err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) {
			s.deps.Log.Warn("give a task back whose twin is at work; the image is worked itself", "id", t.ID, "error", err)
			return true
		}
		return false
	}
	return true
}
