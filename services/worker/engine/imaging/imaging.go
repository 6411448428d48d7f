// Package imaging is the engine in pure Go, on disintegration/imaging and the
// decoders of the standard library and golang.org/x/image.
//
// It reads JPEG, PNG, GIF (the first frame), TIFF and BMP and writes JPEG, PNG
// and GIF. It promises: the header is checked, and every rendition planned,
// before anything is decoded; the original is decoded once for all renditions;
// results have exactly the planned sizes; no metadata is carried over.
//
// It works in the calling process. A panic in its own goroutine becomes a final
// error, but the libraries below start goroutines of their own, whose panics no
// one can catch, and memory can run out: hostile originals belong into a child
// process (engine/process). It does not convert colour profiles.
package imaging

import (
	"context"
	"errors"
	"fmt"
	"image"
	"runtime/debug"
	"time"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// Name is what the engine calls itself in reports.
const Name = "imaging"

// Engine implements engine.Engine. Make one with New.
type Engine struct {
	buffers *encoderBuffers
}

// New makes an engine. It holds nothing but buffers to use again.
func New() *Engine { return &Engine{buffers: newEncoderBuffers()} }

// Render implements engine.Engine. It looks at ctx and the wall time between
// steps only; a single step is not interrupted.
func (e *Engine) Render(ctx context.Context, job engine.Job) (report engine.Report, err error) {
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			err = fault.Wrap(fault.Unprocessable, "the picture is damaged in a way that cannot be worked with",
				fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	limits := job.Limits.WithDefaults()
	ctx, cancel := context.WithTimeout(ctx, limits.WallTime)
	defer cancel()
	base, err := load(ctx, job, limits)
	if err != nil {
		return engine.Report{}, err
	}
	report = engine.Report{Engine: Name, Original: base.Picture}
	for _, r := range job.Pipeline.Renditions {
		done, err := e.rendition(ctx, job.Dir, base, r)
		if err != nil {
			return engine.Report{}, err
		}
		report.Renditions = append(report.Renditions, done)
	}
	report.Elapsed = time.Since(start)
	return report, nil
}

// load checks the original and decodes it.
func load(ctx context.Context, job engine.Job, limits engine.Limits) (*original, error) {
	if err := understood(job.Pipeline); err != nil {
		return nil, err
	}
	src, err := open(job, limits.Frames)
	if err != nil {
		return nil, err
	}
	defer src.done()
	if err := limits.CheckInput(src.format.Name(), src.Picture); err != nil {
		return nil, err
	}
	if err := limits.CheckOutput(job.Pipeline, src.Picture); err != nil {
		return nil, err
	}
	if err := expired(ctx); err != nil {
		return nil, err
	}
	img, err := src.decode()
	if err != nil {
		return nil, err
	}
	return &original{Picture: src.Picture, stored: img}, nil
}

// original is the decoded picture that all renditions start from.
type original struct {
	engine.Picture
	stored  image.Image
	upright image.Image
}

// start gives the picture as the first operation of r sees it. Setting it
// upright happens once for all renditions.
func (o *original) start(r pipeline.Rendition) image.Image {
	if r.KeepOrientation || o.Orientation == 1 {
		return o.stored
	}
	if o.upright == nil {
		o.upright = orient(o.stored, o.Orientation)
	}
	return o.upright
}

// rendition makes and writes one rendition.
func (e *Engine) rendition(ctx context.Context, dir string, base *original, r pipeline.Rendition) (engine.Rendition, error) {
	plan, err := r.Plan(base.Width, base.Height, base.Orientation)
	if err != nil {
		return engine.Rendition{}, fmt.Errorf("plan rendition %s: %w", r.Name, err)
	}
	img := base.start(r)
	for i, s := range steps(r) {
		if err := expired(ctx); err != nil {
			return engine.Rendition{}, err
		}
		img = s.run(img)
		if got := img.Bounds().Size(); got != image.Pt(plan[i+1].Width, plan[i+1].Height) {
			return engine.Rendition{}, fmt.Errorf("rendition %s: %s gave %v, planned was %+v", r.Name, s.name, got, plan[i+1])
		}
	}
	if err := expired(ctx); err != nil {
		return engine.Rendition{}, err
	}
	return e.write(dir, img, base.Format, r)
}

// expired turns a done context into a failure of its kind.
func expired(ctx context.Context) error {
	switch err := ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(fault.DeadlineExceeded, "the picture took longer than is allowed", err)
	default:
		return fault.Wrap(fault.Canceled, "the work on the picture was cancelled", err)
	}
}
