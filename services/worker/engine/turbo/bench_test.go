//go:build vips

package turbo

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/header"
	"imagemill/services/worker/engine/plan"
	"imagemill/services/worker/engine/turbo/yardstick"
)

// cpu is the processor time that this process has taken.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func widths(formats []pipeline.Format, effort int, ws ...int) pipeline.Pipeline {
	var p pipeline.Pipeline
	for _, w := range ws {
		for _, f := range formats {
			p.Renditions = append(p.Renditions, pipeline.Rendition{
				Name: fmt.Sprintf("w%d-%s", w, f), Format: f, Quality: 80, Effort: effort,
				Operations: []pipeline.Operation{pipeline.Resize{Width: w}},
			})
		}
	}
	return p
}

var six = []int{320, 640, 960, 1280, 1920, 2560}

// abilities are those of an engine with the fast path.
func abilities() engine.Abilities {
	return engine.Abilities{Engine: "native", In: []string{"jpeg"}, Out: []pipeline.Format{pipeline.JPEG, pipeline.WebP}, Shrinks: []string{"jpeg"}, Fast: true}
}

// render makes all renditions of p, in a folder of their own.
func render(t testing.TB, file string, p pipeline.Pipeline, threads int) (map[int]engine.Rendition, error) {
	t.Helper()
	return renderInto(t, t.TempDir(), file, p, threads)
}

func renderInto(t testing.TB, dir, file string, p pipeline.Pipeline, threads int) (map[int]engine.Rendition, error) {
	t.Helper()
	info, err := header.Open(file, 1)
	require.NoError(t, err)
	pl, err := plan.Make(p, info.Picture, abilities())
	require.NoError(t, err)
	for i := range pl.Steps {
		pl.Steps[i].Fast = true
	}
	return Render(t.Context(), engine.Job{Source: file, Dir: dir, Pipeline: p}, info.Picture, pl, threads)
}

// BenchmarkAgainstYardstick does the same job on the fast path and by one call
// of libvips for each rendition, by turns, and gives the processor time of each
// in milliseconds and their ratio.
func BenchmarkAgainstYardstick(b *testing.B) {
	file := filepath.Join(enginetest.Shared(b, "photos"), "nuthatch-12mp.jpg")
	original, err := os.ReadFile(file)
	require.NoError(b, err)
	require.NoError(b, yardstick.Start())
	jpegs, both := []pipeline.Format{pipeline.JPEG}, []pipeline.Format{pipeline.JPEG, pipeline.WebP}
	for _, c := range []struct {
		name   string
		p      pipeline.Pipeline
		effort int
	}{
		{"800-jpeg", widths(jpegs, 0, 800), -1},
		{"six-jpegs", widths(jpegs, 0, six...), -1},
		{"twelve-method-4", widths(both, 7, six...), 4},
		{"twelve-default", widths(both, 0, six...), -1},
	} {
		b.Run(c.name, func(b *testing.B) {
			var ours, theirs time.Duration
			dir := b.TempDir()
			for b.Loop() {
				before := cpu()
				_, err := renderInto(b, dir, file, c.p, 1)
				require.NoError(b, err)
				ours += cpu() - before
				before = cpu()
				for _, r := range c.p.Renditions {
					_, err := yardstick.Thumbnail(original, r.Operations[0].(pipeline.Resize).Width, r.Format == pipeline.WebP, 80, c.effort)
					require.NoError(b, err)
				}
				theirs += cpu() - before
			}
			n := float64(b.N) * float64(time.Millisecond)
			b.ReportMetric(float64(ours)/n, "cpu-ms/job")
			b.ReportMetric(float64(theirs)/n, "libvips-cpu-ms/job")
			b.ReportMetric(float64(theirs)/float64(ours), "ratio")
		})
	}
}
