//go:build vips

package native

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"imagemill/internal/sniff"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/imaging"
	"imagemill/services/worker/engine/plan"
	"imagemill/services/worker/engine/turbo"
	"imagemill/services/worker/engine/vips"
)

// Name is what the engine calls itself in reports.
const Name = "native"

// Engine implements engine.Engine. Make one with New.
type Engine struct {
	vips  *vips.Engine
	small *imaging.Engine
	can   engine.Abilities
}

// New starts libvips and makes an engine that reads, beside the usual formats,
// those that are named, of vips.Switched. It fails as vips.New does.
func New(on ...sniff.Format) (*Engine, error) {
	boundHeaps()
	v, err := vips.New(on...)
	if err != nil {
		return nil, err
	}
	can, err := Abilities(on...)
	if err != nil {
		return nil, err
	}
	return &Engine{vips: v, small: imaging.New(), can: can}, nil
}

// ReadsFrom is vips.Engine.ReadsFrom.
func (e *Engine) ReadsFrom() []string { return e.vips.ReadsFrom() }

// Abilities is what the engine can do with the libvips that is loaded, with those
// formats that are named. It starts libvips, and fails as vips.New does.
func Abilities(on ...sniff.Format) (engine.Abilities, error) {
	can, err := vips.Abilities(on...)
	can.Engine, can.Version, can.Fast = Name, "libvips-"+vips.Version(), true
	return can, err
}

// Render implements engine.Engine.
func (e *Engine) Render(ctx context.Context, job engine.Job) (engine.Report, error) {
	if report, ok, err := vips.ByPage(ctx, job, e.Render); ok {
		return report, err
	}
	begun := time.Now()
	defer func() { trim(time.Since(begun)) }()
	report, tiny, err := e.tiny(ctx, job)
	if !tiny {
		err = e.vips.Open(ctx, job, func(ctx context.Context, o *vips.Original) error {
			var err error
			report, err = e.render(ctx, job, o)
			return err
		})
	}
	if err != nil {
		return engine.Report{}, err
	}
	report.Engine, report.Elapsed = Name, time.Since(begun)
	return report, nil
}

// renderPlanes makes what is made from planes: those of a JPEG, or those of what
// libvips has decoded.
func renderPlanes(ctx context.Context, job engine.Job, o *vips.Original, p plan.Plan) (map[int]engine.Rendition, error) {
	threads := threadsOf(job)
	if slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Fast }) {
		return turbo.Render(ctx, job, o.Picture(), p, threads)
	}
	return turbo.RenderRows(ctx, job, o.Picture(), p, threads, func(ctx context.Context, most int, use func(unsafe.Pointer, int, int) error) error {
		ok, err := o.Rows(ctx, most, use)
		if err == nil && !ok {
			return &turbo.NotFast{Why: "the original is not as its header says"}
		}
		return err
	})
}

// threadsOf is how many encoders may work side by side. What they do is in C, for
// which Go lets threads run beside its own GOMAXPROCS.
func threadsOf(job engine.Job) int {
	if job.Threads > 0 {
		return job.Threads
	}
	return runtime.GOMAXPROCS(0)
}

// render makes what the fast path can, and then the rest.
func (e *Engine) render(ctx context.Context, job engine.Job, o *vips.Original) (engine.Report, error) {
	report := engine.Report{Original: o.Picture()}
	p, err := plan.Make(job.Pipeline, report.Original, e.can)
	if err != nil {
		return report, fmt.Errorf("make plan: %w", err)
	}
	made, err := renderPlanes(ctx, job, o, p)
	if turbo.IsNotFast(err) {
		slow := e.can
		slow.Fast = false
		if p, err = plan.Make(job.Pipeline, report.Original, slow); err != nil {
			return report, fmt.Errorf("make plan: %w", err)
		}
		made = nil
	}
	if err != nil {
		return report, err
	}
	var rest []plan.Step
	for _, s := range p.Steps {
		if !s.Fast && !s.Planes {
			rest = append(rest, s)
		}
	}
	others, err := o.Render(ctx, p, rest)
	if err != nil {
		return report, err
	}
	for i := range job.Pipeline.Renditions {
		r, fast := made[i]
		if !fast {
			r = others[i]
		}
		report.Renditions = append(report.Renditions, r)
	}
	report.Facts, err = o.Facts(job.Pipeline.Describe)
	return report, err
}
