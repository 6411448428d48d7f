//go:build vips

package vips

import (
	"context"
	"fmt"
	"sync"
	"time"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/plan"
)

// Name is what the engine calls itself in reports.
const Name = "vips"

// Engine implements engine.Engine. Make one with New.
type Engine struct {
	can engine.Abilities
	mu  sync.Mutex // one picture at a time: libvips has one text for all errors
}

// New starts libvips and makes an engine. It fails when the libvips that was
// loaded is older than 8.13.
func New() (*Engine, error) {
	can, err := Abilities()
	if err != nil {
		return nil, err
	}
	return &Engine{can: can}, nil
}

// Render implements engine.Engine. It looks at ctx and the wall time between
// steps only; a single step is not interrupted.
func (e *Engine) Render(ctx context.Context, job engine.Job) (engine.Report, error) {
	begun := time.Now()
	report := engine.Report{Engine: Name}
	err := e.Open(ctx, job, func(ctx context.Context, o *Original) error {
		report.Original = o.Picture()
		p, err := plan.Make(job.Pipeline, report.Original, e.can)
		if err != nil {
			return err
		}
		report.Renditions, err = o.Render(ctx, p, p.Steps)
		return err
	})
	if err != nil {
		return engine.Report{}, err
	}
	report.Elapsed = time.Since(begun)
	return report, nil
}

// Open checks the original of a job against the limits, decodes nothing, and
// gives it to use, which may render some or all of a plan's steps and must not
// keep it. Calls wait for each other. The context that use gets ends with the
// job's wall time.
func (e *Engine) Open(ctx context.Context, job engine.Job, use func(context.Context, *Original) error) error {
	limits := job.Limits.WithDefaults()
	ctx, cancel := context.WithTimeout(ctx, limits.WallTime)
	defer cancel()
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := expired(ctx); err != nil {
		return err
	}
	return onThread(func() error {
		o := &Original{job: job}
		defer o.close()
		var err error
		if o.src, err = o.scope.open(job.Source, limits); err != nil {
			return err
		}
		if err := e.can.Check(job.Pipeline); err != nil {
			return err
		}
		if err := limits.CheckOutput(job.Pipeline, o.src.Picture); err != nil {
			return err
		}
		return use(ctx, o)
	})
}

// Original is an opened original of a job.
type Original struct {
	job     engine.Job
	src     *source
	scope   scope            // lives as long as the original is open
	decoded map[decoding]ref // what renditions start from
	middle  map[int]ref      // what others continue from, by rendition
}

// Picture is what the header says.
func (o *Original) Picture() engine.Picture { return o.src.Picture }

func (o *Original) close() { o.scope.close() }

// Render makes the renditions of some steps of a plan, in the order of the
// steps, and gives them in the order of the pipeline. All that the steps
// continue from must be among them.
func (o *Original) Render(ctx context.Context, p plan.Plan, steps []plan.Step) ([]engine.Rendition, error) {
	o.decoded, o.middle = map[decoding]ref{}, map[int]ref{}
	all := make([]*engine.Rendition, len(o.job.Pipeline.Renditions))
	roots, continued := 0, map[int]bool{}
	for _, s := range steps {
		if s.From == plan.Original {
			roots++
		} else {
			continued[s.From] = true
		}
	}
	for _, s := range steps {
		r := o.job.Pipeline.Renditions[s.Rendition]
		task := task{Original: o, ctx: ctx, r: r, step: s, shrink: p.Shrink, alone: roots == 1, continued: continued[s.Rendition]}
		made, err := task.run()
		if err != nil {
			return nil, err
		}
		all[s.Rendition] = &made
	}
	var out []engine.Rendition
	for _, r := range all {
		if r != nil {
			out = append(out, *r)
		}
	}
	return out, nil
}

// decoding is one way in which renditions want the original.
type decoding struct {
	shrink  int
	upright bool
}

// planned gives the sizes that a rendition passes through.
func (o *Original) planned(r pipeline.Rendition) (pipeline.Plan, error) {
	sizes, err := r.Plan(o.src.Width, o.src.Height, o.src.Orientation)
	if err != nil {
		return nil, fmt.Errorf("plan rendition %s: %w", r.Name, err)
	}
	return sizes, nil
}
