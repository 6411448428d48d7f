package enginetest

import (
	"fmt"
	"image"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine"
)

// photographs sets real photographs upright that show the same scene in every
// orientation: all must come out like the one that was stored upright.
func (s Suite) photographs(t *testing.T) {
	dir := Shared(t, "photos", "orientation")
	shapes := []string{"Landscape", "Portrait"}
	if testing.Short() {
		shapes = shapes[:1]
	}
	for _, shape := range shapes {
		var upright image.Image
		for _, orientation := range []int{1, 0, 2, 3, 4, 5, 6, 7, 8} {
			name := filepath.Join(dir, fmt.Sprintf("%s_%d.jpg", shape, orientation))
			report, err := s.RenderFile(t, name, `[{"op":"resize","width":120,"height":120}]`, engine.Limits{})
			require.NoError(t, err, name)
			got := Open(t, report.Renditions[0])
			if orientation == 1 {
				upright = got
				continue
			}
			require.Equal(t, upright.Bounds(), got.Bounds(), name)
			require.Less(t, difference(upright, got), 12.0, "%s does not look like the upright one", name)
		}
		require.Equal(t, shape == "Landscape", upright.Bounds().Dx() > upright.Bounds().Dy())
	}
}

// difference is the mean difference of two pictures of one size, per channel.
func difference(a, b image.Image) float64 {
	var sum, n float64
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			p, q := at(a, x, y), at(b, x, y)
			for _, d := range [3]int{int(p.R) - int(q.R), int(p.G) - int(q.G), int(p.B) - int(q.B)} {
				sum += float64(max(d, -d))
				n++
			}
		}
	}
	return sum / n
}
