//go:build vips

package turbo

import (
	"context"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/plan"
)

// Render makes the fast steps of p, which must be a plan of job.Pipeline for
// original, and gives the renditions by their index in the pipeline. Up to
// threads encoders work at the same time; less than 1 counts as 1.
//
// Its errors are those of engine.Engine, and *NotFast, with which no file is
// written. It chooses how small to decode by itself: p.Shrink also considers
// the steps that are not fast.
func Render(ctx context.Context, job engine.Job, original engine.Picture, p plan.Plan, threads int) (map[int]engine.Rendition, error) {
	return with(ctx, job, original, p, threads, func(w *work) error {
		file, done, err := job.Original()
		if err != nil {
			return err
		}
		defer done()
		return w.run(file)
	})
}

// with is what all ways to an original's planes have in common.
func with(ctx context.Context, job engine.Job, original engine.Picture, p plan.Plan, threads int, run func(*work) error) (map[int]engine.Rendition, error) {
	limits := job.Limits.WithDefaults()
	if err := limits.CheckInput(sniff.Format(original.Format).Name(), original); err != nil {
		return nil, err
	}
	if err := limits.CheckOutput(job.Pipeline, original); err != nil {
		return nil, err
	}
	nodes, err := nodesOf(job.Pipeline, original, p)
	if err != nil || len(nodes) == 0 {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, limits.WallTime)
	defer cancel()
	c, stop := begin(ctx)
	defer stop()
	w := &work{call: c, job: job, original: original, nodes: nodes, threads: threads, path: engine.PathFast, made: map[int]engine.Rendition{}}
	w.group.SetLimit(max(threads, 1))
	err = run(w)
	// Encoders still hold planes: wait for them also when something else failed.
	if later := w.group.Wait(); err == nil {
		err = later
	}
	for _, n := range nodes {
		n.drop()
	}
	if err != nil {
		return nil, err
	}
	return w.made, nil
}

// work is one call of Render.
type work struct {
	call
	job      engine.Job
	original engine.Picture
	nodes    []*node
	threads  int
	path     string // what renditions say of how they were made
	group    errgroup.Group
	failed   atomic.Bool
	mu       sync.Mutex
	made     map[int]engine.Rendition
}

// decoderMemory is what libjpeg may take for itself: the coefficients of a
// progressive picture, two bytes each of up to three components, some rows
// besides, and its tables.
func decoderMemory(p engine.Picture) int64 {
	return (int64(p.Width)+64)*(int64(p.Height)+64)*6 + 16<<20
}

// run decodes, and then makes and writes the pictures in their order.
func (w *work) run(file *os.File) error {
	src, err := open(w.call, file, decoderMemory(w.original))
	if err != nil {
		return err
	}
	defer src.close()
	if src.width != w.original.Width || src.height != w.original.Height {
		return fault.Newf(fault.Unprocessable, "the JPEG is damaged (it says that it is %d×%d and %d×%d pixels)",
			w.original.Width, w.original.Height, src.width, src.height)
	}
	base, err := w.decode(src)
	if err != nil {
		return err
	}
	return w.finish(base)
}

// finish makes all pictures that the decoding has not made, and writes them.
func (w *work) finish(base *node) error {
	defer base.drop()
	for _, n := range w.nodes {
		if w.failed.Load() {
			return nil // the group has the error
		}
		if err := w.draw(n, base); err != nil {
			return err
		}
		if err := w.encode(n); err != nil {
			return err
		}
	}
	return nil
}

// draw makes a node's picture from that of another one, unless the decoding
// has made it already.
func (w *work) draw(n, base *node) error {
	if n.picture.c == nil {
		from := n.from
		if from == nil {
			from = base
		}
		if err := n.allocate(); err != nil {
			return err
		}
		if err := (result{n.picture, n.geometry}).resample(w.call, from.picture, from.grids); err != nil {
			return err
		}
		from.release()
	}
	result{n.picture, n.geometry}.finish()
	return nil
}

// encode writes all renditions that show this picture.
func (w *work) encode(n *node) error {
	for _, i := range n.renditions {
		one := func() error {
			defer n.release()
			return w.write(n.picture, i)
		}
		if w.threads > 1 {
			w.group.Go(one)
		} else if err := one(); err != nil {
			return err
		}
	}
	return nil
}

// write encodes one rendition into its file.
func (w *work) write(p picture, i int) error {
	done, err := write(w.call, p, w.job.Dir, w.job.Pipeline.Renditions[i])
	if err != nil {
		w.failed.Store(true)
		return err
	}
	done.Path = w.path
	w.mu.Lock()
	defer w.mu.Unlock()
	w.made[i] = done
	return nil
}
