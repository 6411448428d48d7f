package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"imagemill/internal/digest"
	"imagemill/internal/fault"
	"imagemill/internal/volume"
	"imagemill/pkg/pipeline"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
	"imagemill/services/worker/engine"
)

// attempt is one task in hand.
type attempt struct {
	s     *Service
	work  imagemaster.Work
	log   *slog.Logger
	dir   string // its scratch folder
	start time.Time
	// inside is the time that an engine worked; rendering adds the wait for one.
	inside, rendering time.Duration
}

// errLost ends the context of an attempt that has lost its lease.
var errLost = errors.New("the lease is lost")

// carryOut takes one task from fetch to report. It returns when the report is
// done, or is known to be of no use.
func (s *Service) carryOut(hand context.Context, w imagemaster.Work) {
	a := &attempt{
		s: s, work: w, start: time.Now(),
		log: s.deps.Log.With("taskId", w.ID, "attempt", w.Attempt),
	}
	ctx, end := context.WithCancelCause(hand)
	defer end(nil)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		a.renew(ctx, end)
	}()
	result, err := a.render(ctx)
	lost := errors.Is(context.Cause(ctx), errLost)
	a.report(ctx, hand, result, err, lost)
	a.tidy()
	end(nil)
	<-renewed
	if err == nil {
		s.load.observe(a.inside, time.Since(a.start)-a.rendering)
	}
}

// tidy gives the scratch folder back, which nobody waits for.
func (a *attempt) tidy() {
	if a.dir == "" {
		return
	}
	if err := a.s.scratch.give(a.dir); err != nil {
		a.log.Warn("give scratch folder back", "error", err)
	}
}

// renew keeps the lease, at a third of its length. A master that cannot be
// reached is tried again at the next turn; a lost lease ends the attempt.
func (a *attempt) renew(ctx context.Context, end context.CancelCauseFunc) {
	every := max(time.Duration(a.work.LeaseMillis)*time.Millisecond/3, 10*time.Millisecond)
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		rctx, cancel := context.WithTimeout(ctx, every)
		err := a.s.deps.Master.WorkProgress(rctx, imagemaster.ProgressReport{ID: a.work.ID, Attempt: a.work.Attempt})
		cancel()
		switch k := fault.KindOf(err); {
		case k == fault.Conflict || k == fault.NotFound:
			end(errLost)
			return
		case err != nil && ctx.Err() == nil:
			a.log.Warn("renew lease", "error", err)
		}
	}
}

// render fetches, renders and stores; what it returns is ready to be reported.
func (a *attempt) render(ctx context.Context) (result taskdb.Result, err error) {
	p, err := a.s.pipelines.Get(a.work.Pipeline, pipeline.Parse)
	if err != nil {
		return result, fault.Wrap(fault.Unprocessable, "this worker does not understand the pipeline: "+err.Error(), err)
	}
	if err := a.s.suits(a.work, p); err != nil {
		return result, err
	}
	if a.dir, err = a.s.scratch.take(); err != nil {
		return result, noRoom(err)
	}
	source := filepath.Join(a.dir, "original")
	if err := a.fetch(ctx, source); err != nil {
		return result, err
	}
	p = p.Expand(a.s.deps.Abilities.Has)
	job := engine.Job{Source: source, Dir: a.dir, Pipeline: p, Limits: a.s.live.limits()}
	if job.Assets, err = a.assets(ctx, p); err != nil {
		return result, err
	}
	rep, err := a.renderAdmitted(ctx, job)
	if err != nil {
		return result, fmt.Errorf("render: %w", err)
	}
	return a.store(ctx, rep)
}

// renderAdmitted gives a job to the engine as soon as there is memory for it. The lease is
// renewed all the while.
func (a *attempt) renderAdmitted(ctx context.Context, job engine.Job) (engine.Report, error) {
	began := time.Now()
	defer func() { a.rendering = time.Since(began) }()
	need, err := a.s.estimate(&job)
	if err != nil {
		return engine.Report{}, err
	}
	leave, err := a.s.gate.Enter(ctx, need)
	if err != nil {
		return engine.Report{}, err
	}
	defer leave()
	rep, err := a.s.deps.Engine.Render(ctx, job)
	a.inside = rep.Elapsed
	return rep, err
}

// copyBuffer is the size of one read of an original, in bytes.
const copyBuffer = 32 << 10

// fetch copies the original into the scratch folder and checks its digest, which
// the storage then need not do. It does where the digest was wrong, and so tells
// damage on its disk from damage on the way.
func (a *attempt) fetch(ctx context.Context, path string) error {
	ref := imagemaster.OriginalRef(a.work.ID)
	obj, err := storage.GetUnchecked(ctx, a.s.deps.Blobs, ref)
	if err != nil {
		return fmt.Errorf("fetch original: %w", err)
	}
	err = a.s.save(path, "original", obj.Body, a.work.Original.SHA256)
	if !fault.Is(err, fault.Internal) {
		return err
	}
	a.log.Warn("the original is fetched once more", "error", err)
	if obj, err = a.s.deps.Blobs.Get(ctx, ref, storage.Whole()); err != nil {
		return fmt.Errorf("fetch original: %w", err)
	}
	return a.s.save(path, "original", obj.Body, a.work.Original.SHA256)
}

// save writes what it reads to a file, closes the reader, and checks the digest.
// what is written is named in errors.
func (s *Service) save(path, what string, body io.ReadCloser, want string) (err error) {
	defer func() { _ = body.Close() }()
	f, err := engine.CreateScratch(path)
	if err != nil {
		return noRoom(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := digest.New()
	defer sum.Close()
	buf := s.buffers.Get().(*[copyBuffer]byte)
	defer s.buffers.Put(buf)
	if _, err := io.CopyBuffer(io.MultiWriter(f, sum), body, buf[:]); volume.IsFull(err) {
		return noRoom(err)
	} else if err != nil {
		return fault.Wrap(fault.Unavailable, "the "+what+" could not be fetched", err)
	}
	if got := sum.Hex(); got != want {
		return fault.Newf(fault.Internal, "the %s is damaged: its digest is %s, not %s", what, got, want)
	}
	return nil
}

// noRoom is an error of the scratch folder: a full disk passes.
func noRoom(err error) error {
	kind := fault.Unavailable
	if volume.IsFull(err) {
		kind = fault.StorageFull
	}
	return fault.Wrap(kind, "the worker has no room to work in", err)
}

// storeAtOnce bounds the renditions of one task that are stored at a time.
const storeAtOnce = 4

// store puts all renditions under keys that carry the attempt.
func (a *attempt) store(ctx context.Context, rep engine.Report) (taskdb.Result, error) {
	result := taskdb.Result{
		Attempt: a.work.Attempt, Worker: a.s.deps.Instance, Engine: rep.Engine, EngineVersion: a.s.engineVersion(),
		Width: rep.Original.Width, Height: rep.Original.Height, Format: rep.Original.Format,
		Renditions: make([]taskdb.Rendition, len(rep.Renditions)),
	}
	if f := rep.Facts; f != nil {
		result.Facts = &taskdb.Facts{EXIF: f.EXIF, Colors: f.Colors, BlurHash: f.BlurHash, PHash: f.PHash}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(storeAtOnce)
	for i, r := range rep.Renditions {
		g.Go(func() error {
			blob, err := a.put(gctx, r)
			if err != nil {
				return fmt.Errorf("store rendition %s: %w", r.Name, err)
			}
			result.Renditions[i] = taskdb.Rendition{
				Name: r.Name, Blob: blob, Format: string(r.Format), Width: r.Width, Height: r.Height,
			}
			return nil
		})
	}
	return result, g.Wait()
}

func (a *attempt) put(ctx context.Context, r engine.Rendition) (taskdb.Blob, error) {
	f, err := os.Open(r.File)
	if err != nil {
		return taskdb.Blob{}, fault.Wrap(fault.Unavailable, "the engine's result is gone", err)
	}
	defer func() { _ = f.Close() }()
	ref := imagemaster.RenditionRef(a.work.ID, a.work.Attempt, r.Name)
	info, err := a.s.deps.Blobs.Put(ctx, ref, f, storage.PutOptions{Size: r.Bytes})
	return taskdb.Blob{Key: ref.Key, Size: info.Size, SHA256: info.SHA256, ContentType: r.ContentType}, err
}
