package imagemaster

import (
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
	// maxOwn bounds the tasks that are remembered since their twins could not be copied.
	maxOwn = 1024
	// spareAtOnce is how many tasks of one claim are looked at, and how many blobs of
	// one result copied, at a time.
	spareAtOnce = 4
	// spareRounds is how often a call claims that finds nothing but twins, even if it does
	// not want to wait.
	spareRounds = 8
	// A task whose twin is at work is given back for as long again as that has been, but
	// within these bounds, so that a long job costs few looks and a short one little time.
	twinPauseMin, twinPauseMax = 100 * time.Millisecond, 5 * time.Second
	// doubtPause is for a task of which nobody knows whether it has ended: taskdb is in
	// trouble.
	doubtPause = time.Second
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

	own ids // tasks that no twin's result could be given: they are worked themselves
}

// ids is a set of some of late. Its zero value is ready.
type ids struct {
	mu  sync.Mutex
	set map[string]struct{}
}

func (s *ids) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil || len(s.set) >= maxOwn {
		s.set = map[string]struct{}{}
	}
	s.set[id] = struct{}{}
}

// take removes an ID, and reports whether it was there.
func (s *ids) take(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.set[id]
	delete(s.set, id)
	return ok
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
// where anything goes wrong, the task is worked like any other: so that is given a part
// of the time only which there is for recording the task.
func (s *Service) atUpload(ctx context.Context, n *taskdb.NewTask) {
	if !n.Dedupe || !n.NotBefore.IsZero() || n.DelayMillis != 0 {
		return
	}
	l := taskdb.Likeness{Owner: n.Owner, SHA256: n.Original.SHA256, Size: n.Original.Size, Pipeline: n.Pipeline}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.RecordTimeout/4)
	defer cancel()
	twins, err := s.dedupe.tasks.Twins(ctx, l)
	if err == nil {
		n.Result, err = s.dedupe.result(ctx, n.ID, 1, twins)
	}
	if err != nil {
		s.deps.Log.Warn("look for a finished twin; the image is worked itself", "id", n.ID, "error", err)
	}
}
