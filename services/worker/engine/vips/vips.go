//go:build vips

package vips

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"imagemill/internal/sniff"
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

// New starts libvips and makes an engine that reads, beside the usual formats,
// those of [Switched] that are named. It fails when the libvips that was loaded is
// older than 8.13, or has no decoder for one of them.
func New(on ...sniff.Format) (*Engine, error) {
	can, err := Abilities(on...)
	if err != nil {
		return nil, err
	}
	if len(on) > 0 {
		rehearse(can)
	}
	return &Engine{can: can}, nil
}

// ReadsFrom lists the folders of the system in which the libraries beneath look
// for fonts and the like while they draw; none without SVG and PDF.
func (e *Engine) ReadsFrom() []string {
	if !e.can.Reads(string(sniff.SVG)) && !e.can.Reads(string(sniff.PDF)) {
		return nil
	}
	return []string{
		"/etc/fonts", "/usr/share/fonts", "/usr/local/share/fonts", "/usr/share/fontconfig", "/var/cache/fontconfig", "/usr/share/poppler",
	}
}

// Render implements engine.Engine. It looks at ctx and the wall time between
// steps only; a single step is not interrupted.
func (e *Engine) Render(ctx context.Context, job engine.Job) (engine.Report, error) {
	if report, ok, err := ByPage(ctx, job, e.Render); ok {
		return report, err
	}
	begun := time.Now()
	report := engine.Report{Engine: Name}
	err := e.Open(ctx, job, func(ctx context.Context, o *Original) error {
		report.Original = o.Picture()
		p, err := plan.Make(job.Pipeline, report.Original, e.can)
		if err != nil {
			return fmt.Errorf("make plan: %w", err)
		}
		made, err := o.Render(ctx, p, p.Steps)
		if err != nil {
			return err
		}
		for i := range job.Pipeline.Renditions {
			report.Renditions = append(report.Renditions, made[i])
		}
		report.Facts, err = o.Facts(job.Pipeline.Describe)
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
	file, done, err := job.Original()
	src, err := open(file, done, err, reading{limits: limits, can: e.can, page: job.Pipeline.Renditions[0].Frame})
	if err != nil {
		return err
	}
	defer src.close()
	if err := e.can.Check(job.Pipeline); err != nil {
		return err
	}
	if err := limits.CheckOutput(job.Pipeline, src.Picture); err != nil {
		return err
	}
	return onThread(func() error {
		o := &Original{job: job, src: src, can: e.can, limits: limits, decoded: map[decoding]ref{}, middle: map[int]middle{}, marks: map[pipeline.Asset]ref{}}
		defer o.scope.close()
		return use(ctx, o)
	})
}

// Original is an opened original of a job.
type Original struct {
	job     engine.Job
	src     *source
	can     engine.Abilities
	limits  engine.Limits
	scope   scope                  // lives as long as the original is open
	decoded map[decoding]ref       // what renditions start from
	middle  map[int]middle         // what others continue from, by rendition
	marks   map[pipeline.Asset]ref // pictures of watermarks
}

// middle is the picture of a rendition after its first resize.
type middle struct {
	m ref
	d decoding
}

// Picture is what the header says.
func (o *Original) Picture() engine.Picture { return o.src.Picture }

// Render makes the renditions of some steps of a plan, in their order, and
// gives them by their place in the pipeline. All that the steps continue from
// must be among them.
func (o *Original) Render(ctx context.Context, p plan.Plan, steps []plan.Step) (map[int]engine.Rendition, error) {
	roots, continued := 0, map[int]bool{}
	for _, s := range steps {
		if s.From == plan.Original {
			roots++
		} else {
			continued[s.From] = true
		}
	}
	e := newEncoders(o.job.Threads)
	for _, s := range steps {
		r := o.job.Pipeline.Renditions[s.Rendition]
		t := &task{
			Original: o, ctx: ctx, r: r, step: s, wants: o.decodingOf(r, p.Shrink).drawn(s.Scale),
			alone: roots == 1, continued: continued[s.Rendition], choices: map[int]area{},
		}
		if err := t.run(e); err != nil {
			return nil, errors.Join(err, e.wait())
		}
	}
	return e.made, e.wait()
}

// planned gives the sizes that a rendition passes through.
func (o *Original) planned(r pipeline.Rendition) (pipeline.Plan, error) {
	sizes, err := r.Plan(o.src.Width, o.src.Height, o.src.Orientation)
	if err != nil {
		return nil, fmt.Errorf("plan rendition %s: %w", r.Name, err)
	}
	return sizes, nil
}
