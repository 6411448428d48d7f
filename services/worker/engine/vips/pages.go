//go:build vips

package vips

import (
	"context"
	"slices"

	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// ByPage carries out a job whose renditions are of several pages of a PDF, each of
// which has a size of its own: page by page, with render. It reports false, and
// does nothing, for any other job.
func ByPage(ctx context.Context, job engine.Job, render func(context.Context, engine.Job) (engine.Report, error)) (engine.Report, bool, error) {
	all := job.Pipeline.Renditions
	another := func(r pipeline.Rendition) bool { return r.Frame != all[0].Frame }
	if !slices.ContainsFunc(all, another) || !isPDF(job) {
		return engine.Report{}, false, nil
	}
	var whole engine.Report
	made := make([]engine.Rendition, len(all))
	done := map[int]bool{}
	for _, r := range all {
		if done[r.Frame] {
			continue
		}
		done[r.Frame] = true
		one, places := job, []int(nil)
		one.Pipeline.Renditions = nil
		for i, same := range all {
			if same.Frame == r.Frame {
				one.Pipeline.Renditions, places = append(one.Pipeline.Renditions, same), append(places, i)
			}
		}
		if len(done) > 1 {
			one.Pipeline.Describe = nil
		}
		report, err := render(ctx, one)
		if err != nil {
			return engine.Report{}, true, err
		}
		for i, place := range places {
			made[place] = report.Renditions[i]
		}
		if len(done) > 1 {
			whole.Elapsed += report.Elapsed
			continue
		}
		whole = report
	}
	whole.Renditions = made
	return whole, true, nil
}

// isPDF looks at the first bytes of an original; one that cannot be read is left to
// whoever renders it.
func isPDF(job engine.Job) bool {
	file, done, err := job.Original()
	if err != nil {
		return false
	}
	defer done()
	b := make([]byte, 16)
	n, _ := file.ReadAt(b, 0) // a short file has fewer
	return sniff.Sniff(b[:n]) == sniff.PDF
}
