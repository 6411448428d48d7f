//go:build vips

package turbo

import (
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine/enginetest"
)

// BenchmarkRender is the fast path alone, for profiles.
func BenchmarkRender(b *testing.B) {
	file := filepath.Join(enginetest.Shared(b, "photos"), "nuthatch-12mp.jpg")
	for name, p := range map[string]pipeline.Pipeline{
		"800-jpeg":  widths([]pipeline.Format{pipeline.JPEG}, 0, 800),
		"six-jpegs": widths([]pipeline.Format{pipeline.JPEG}, 0, six...),
		"300-jpeg":  widths([]pipeline.Format{pipeline.JPEG}, 0, 300),
		"six-webps": widths([]pipeline.Format{pipeline.WebP}, 0, six...),
	} {
		b.Run(name, func(b *testing.B) {
			dir, before := b.TempDir(), cpu()
			for b.Loop() {
				_, err := renderInto(b, dir, file, p, 1)
				require.NoError(b, err)
			}
			b.ReportMetric(float64((cpu()-before).Microseconds())/1000/float64(b.N), "cpu-ms/job")
		})
	}
}

// BenchmarkScan compares the two ways to decode a regular scan, by turns.
func BenchmarkScan(b *testing.B) {
	defer ownScan(true)
	file := filepath.Join(enginetest.Shared(b, "photos"), "nuthatch-12mp.jpg")
	for _, width := range []int{300, 800} {
		b.Run(strconv.Itoa(width), func(b *testing.B) {
			dir := b.TempDir()
			p := widths([]pipeline.Format{pipeline.JPEG}, 0, width)
			var spent [2]time.Duration
			for b.Loop() {
				for i, on := range []bool{false, true} {
					ownScan(on)
					before := cpu()
					_, err := renderInto(b, dir, file, p, 1)
					require.NoError(b, err)
					spent[i] += cpu() - before
				}
			}
			n := float64(b.N) * float64(time.Millisecond)
			b.ReportMetric(float64(spent[0])/n, "libjpeg-cpu-ms/job")
			b.ReportMetric(float64(spent[1])/n, "own-cpu-ms/job")
		})
	}
}
