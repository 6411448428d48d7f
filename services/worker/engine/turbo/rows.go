//go:build vips

package turbo

import (
	"context"
	"unsafe"

	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/plan"
)

// Rows decodes an original from its top. It calls use with the next n rows of RGB,
// three bytes a pixel, stride bytes apart: most at a time, fewer at the end only. It
// ends with the first error of use.
type Rows func(ctx context.Context, most int, use func(rgb unsafe.Pointer, stride, n int) error) error

// RenderRows is Render for the steps of p that begin with an original that
// somebody else decodes, but are made from planes (plan.Step.Planes).
func RenderRows(ctx context.Context, job engine.Job, original engine.Picture, p plan.Plan, threads int, rows Rows) (map[int]engine.Rendition, error) {
	return with(ctx, job, original, p, threads, func(w *work) error {
		w.path = engine.PathPlanes
		base, err := w.take(rows)
		if err != nil {
			return err
		}
		return w.finish(base)
	})
}

// take has the rows decoded into planes, and the pictures made on the way.
func (w *work) take(rows Rows) (*node, error) {
	const components = 3
	roots, finest, err := w.roots(components)
	if err != nil {
		return nil, err
	}
	every := min(finest.sx, finest.sy)
	width, height := w.original.Width, w.original.Height
	base := &node{components: components}
	for _, by := range [components]int{1, every, every} {
		base.grids = append(base.grids, grid{float64(by), float64(by), (width + by - 1) / by, (height + by - 1) / by})
	}
	return base, w.make(base, roots, func(results []result, keep *picture) error {
		f, err := openFeed(w.call, width, height, every, base.grids, results)
		if err != nil {
			return err
		}
		defer f.close()
		err = rows(w.ctx, feedRows, func(rgb unsafe.Pointer, stride, n int) error { return f.rows(w.call, rgb, stride, n) })
		if err != nil {
			return err
		}
		return f.end(w.call, keep)
	})
}
