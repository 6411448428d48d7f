//go:build vips

package turbo

import (
	"path/filepath"
	"testing"

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
