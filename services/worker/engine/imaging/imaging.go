// Package imaging is the engine in pure Go, on disintegration/imaging and the
// decoders of the standard library and golang.org/x/image.
//
// It reads JPEG, PNG, GIF, WebP (a still picture), TIFF and BMP and writes JPEG,
// PNG, GIF and TIFF. It promises: the header is checked, and every rendition
// planned, before anything is decoded; the original is decoded once for all
// renditions; results have exactly the planned sizes.
//
// Pictures with a profile for RGB, greys or CMYK, of colorants and tone curves or
// of tables, come out in sRGB; inks without a profile as a usual press would show
// them. A profile that cannot be followed counts as none. Metadata is dropped unless it is asked for, and
// then only JPEG and PNG carry it: see [pipeline.Metadata]. What was kept never
// has a place, a serial number, a maker's note or a thumbnail.
//
// It works in the calling process. A panic in its own goroutine becomes a final
// error, but the libraries below start goroutines of their own, whose panics no
// one can catch, and memory can run out: hostile originals belong into a child
// process (engine/process).
package imaging

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"imagemill/internal/fault"
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
	work, err := load(ctx, job, limits)
	if err != nil {
		return engine.Report{}, err
	}
	report = engine.Report{Engine: Name, Original: work.Picture, Renditions: make([]engine.Rendition, len(job.Pipeline.Renditions))}
	for _, s := range work.plan.Steps {
		done, err := e.rendition(ctx, work, s)
		if err != nil {
			return engine.Report{}, err
		}
		report.Renditions[s.Rendition] = done
	}
	if report.Facts, err = work.facts(); err != nil {
		return engine.Report{}, err
	}
	report.Elapsed = time.Since(start)
	return report, nil
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
