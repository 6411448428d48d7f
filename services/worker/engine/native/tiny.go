//go:build vips

package native

import (
	"context"

	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/header"
	"imagemill/services/worker/engine/plan"
)

// tinyFile is the size in bytes of a file that is too large for so few pixels:
// they have 64 KiB at most before they are compressed.
const tinyFile = 128 << 10

// tiny makes a job whose original and all that becomes of it are so small and
// simple that engine/imaging does it as well, and faster. It reads no more than the
// header where it is not, and says so.
func (e *Engine) tiny(ctx context.Context, job engine.Job) (report engine.Report, done bool, err error) {
	if !plan.Plain(job.Pipeline) {
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
	if err != nil || !plan.Tiny(job.Pipeline, info.Picture) {
		return report, false, nil //nolint:nilerr // the same
	}
	job.File = file
	report, err = e.small.Render(ctx, job)
	for i := range report.Renditions {
		report.Renditions[i].Path = engine.PathImaging
	}
	return report, true, err
}
