//go:build vips

package native

import (
	"context"
	"slices"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/header"
)

// tinyPixels is the area up to which pure Go is faster than libvips, which
// takes a millisecond and more for each call whatever the picture's size.
const tinyPixels = 128 * 128

// tinyFile is the size in bytes of a file that is too large for so few pixels:
// they have 64 KiB at most before they are compressed.
const tinyFile = 128 << 10

// tiny makes a job whose original and all that becomes of it are so small and
// simple that engine/imaging does it as well, and faster. It reads no more than the
// header where it is not, and says so.
func (e *Engine) tiny(ctx context.Context, job engine.Job) (report engine.Report, done bool, err error) {
	if !isPlain(job.Pipeline) {
		return report, false, nil
	}
	file, closed, err := job.Original()
	if err != nil {
		return report, false, nil //nolint:nilerr // whoever does the job will say so
	}
	defer closed()
	stat, err := file.Stat()
	if err != nil || stat.Size() > tinyFile {
		return report, false, nil //nolint:nilerr // the same
	}
	info, err := header.Read(file, stat.Size(), 1)
	if err != nil || !isTiny(job.Pipeline, info.Picture) {
		return report, false, nil //nolint:nilerr // the same
	}
	job.File = file
	report, err = e.small.Render(ctx, job)
	for i := range report.Renditions {
		report.Renditions[i].Path = engine.PathImaging
	}
	return report, true, err
}

// isPlain reports whether a pipeline asks for nothing in which the engines differ.
func isPlain(p pipeline.Pipeline) bool {
	if len(p.Describe) > 0 {
		return false
	}
	for _, r := range p.Renditions {
		plain := r.Format == pipeline.Same || r.Format == pipeline.PNG || r.Format == pipeline.JPEG
		if !plain || r.Metadata != pipeline.Strip || r.Profile != pipeline.SRGB || r.Frame != 0 || r.Colors != 0 || r.Progressive ||
			r.Chroma != "" || r.TargetSSIM != 0 || r.MaxBytes != 0 || slices.ContainsFunc(r.Operations, isNotTiny) {
			return false
		}
	}
	return true
}

// isTiny reports whether a picture and all that a plain pipeline makes of it are
// small.
func isTiny(p pipeline.Pipeline, o engine.Picture) bool {
	if o.Width*o.Height > tinyPixels || o.Format != "png" || o.Depth > 8 || o.Profile != "" && o.Profile != engine.ProfileSRGB {
		return false
	}
	for _, r := range p.Renditions {
		sizes, err := r.Plan(o.Width, o.Height, o.Orientation)
		if err != nil {
			return false
		}
		for _, s := range sizes {
			if s.Pixels() > tinyPixels {
				return false
			}
		}
	}
	return true
}

// isNotTiny reports whether the engines carry out an operation differently, or with
// assets.
func isNotTiny(op pipeline.Operation) bool {
	switch o := op.(type) {
	case pipeline.Resize:
		return o.Gravity == pipeline.Attention || o.Gravity == pipeline.Entropy
	case pipeline.Crop:
		return o.Gravity == pipeline.Attention || o.Gravity == pipeline.Entropy
	case pipeline.Rotate, pipeline.Flip, pipeline.SwapRedBlue, pipeline.Grayscale, pipeline.Invert, pipeline.Brightness, pipeline.Contrast:
		return false
	}
	return true
}
