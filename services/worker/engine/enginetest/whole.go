package enginetest

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/ssim"
)

// leastAlike is the structural similarity that is promised of each result.
const leastAlike = 0.98

// WholePhotographs holds what becomes of photographs, as cameras and phones store
// them, to what Lanczos makes of all their pixels. paths says by which code each
// kind of file is to be made; an empty one leaves that open.
func WholePhotographs(t *testing.T, e engine.Engine, out []pipeline.Format, paths map[string]string) {
	dir := Shared(t, "photos")
	names := []string{"kodak-23.png"}
	if !testing.Short() { // some are of twelve million pixels
		names = append(names, "kodak-3.png", "kodak-8.png", "nuthatch-2mp.jpg", "nuthatch-12mp.jpg", "dragonfly.jpg", "orientation/Portrait_8.jpg")
	}
	more, err := filepath.Glob(filepath.Join(dir, "gps", "*.jpg"))
	require.NoError(t, err)
	require.NotEmpty(t, more)
	for _, name := range more {
		names = append(names, "gps/"+filepath.Base(name))
	}
	for _, name := range names {
		name = filepath.Join(dir, name)
		whole := OpenWhole(t, name)
		var p pipeline.Pipeline
		for _, f := range out {
			for _, op := range []pipeline.Operation{
				pipeline.Resize{Width: 1001, NoEnlarge: true}, pipeline.Resize{Width: 480}, pipeline.Resize{Width: 199},
				pipeline.Resize{Width: 301, Height: 300, Fit: pipeline.Cover, Gravity: pipeline.North},
			} {
				p.Renditions = append(p.Renditions, pipeline.Rendition{
					Name: fmt.Sprint("r", len(p.Renditions)), Format: f, Quality: 95, Operations: []pipeline.Operation{op},
				})
			}
		}
		report, err := e.Render(t.Context(), engine.Job{Source: name, Dir: t.TempDir(), Pipeline: p, Limits: engine.Limits{WallTime: patience}})
		require.NoError(t, err, name)
		for i, r := range report.Renditions {
			want, got := whole.Lanczos(t, p.Renditions[i]), Lossy(t, r.File)
			require.Equal(t, want.Rect.Size(), got.Rect.Size(), name)
			like, err := ssim.Images(want, got)
			require.NoError(t, err)
			difference := Difference(want, got)
			t.Logf("%s as %s of %d×%d by %s: SSIM %.4f, mean difference %.2f", filepath.Base(name), r.Format, r.Width, r.Height, r.Path, like, difference)
			assert.GreaterOrEqual(t, like, leastAlike, "%s %+v", name, r)
			assert.Less(t, difference, 6.0, "%s %+v", name, r) // 4:2:0 of a small picture of many colours is not that picture
			if path := paths[report.Original.Format]; path != "" {
				assert.Equal(t, path, r.Path, name)
			}
		}
	}
}
