//go:build vips

package native_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
)

// However many encoders work side by side, the results are the same; some of them
// are made by libvips alone, and the failure of one is that of the job.
func TestEncodersSideBySide(t *testing.T) {
	e := newEngine(t)
	photo := enginetest.Shared(t, "photos", "kodak-23.png")
	const all = `{"renditions":[
		{"name":"planes","format":"jpeg","operations":[{"op":"resize","width":500}]},
		{"name":"png","format":"png","operations":[{"op":"resize","width":400}]},
		{"name":"smaller","format":"png","operations":[{"op":"resize","width":200}]},
		{"name":"tiff","format":"tiff","operations":[{"op":"resize","width":300},{"op":"sepia"}]},
		{"name":"webp","format":"webp","metadata":"copyright","operations":[{"op":"resize","width":300}]},
		{"name":"gif","format":"gif","operations":[{"op":"resize","width":100}]}]}`
	p, err := pipeline.Parse([]byte(all))
	require.NoError(t, err)
	var want [][]byte
	for _, threads := range []int{1, 2, 8} {
		report, err := e.Render(t.Context(), engine.Job{Source: photo, Dir: t.TempDir(), Pipeline: p, Threads: threads})
		require.NoError(t, err)
		for i, r := range report.Renditions {
			require.Equal(t, p.Renditions[i].Name, r.Name)
			body, err := os.ReadFile(r.File)
			require.NoError(t, err)
			if threads == 1 {
				want = append(want, body)
				continue
			}
			require.Equal(t, want[i], body, "%s by %d threads", r.Name, threads)
		}
	}
	p.Renditions[3].Format, p.Renditions[3].MaxBytes = pipeline.JPEG, 10
	_, err = e.Render(t.Context(), engine.Job{Source: photo, Dir: t.TempDir(), Pipeline: p, Threads: 8})
	require.Equal(t, fault.Unprocessable, fault.KindOf(err))
}
