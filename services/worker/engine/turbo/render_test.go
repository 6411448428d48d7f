//go:build vips

package turbo

import (
	"fmt"
	"image/jpeg"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/imaging"
)

// one is a pipeline of one rendition, by the operations of its document.
func one(t testing.TB, rendition string) pipeline.Pipeline {
	t.Helper()
	p, err := pipeline.Parse([]byte(`{"version":1,"renditions":[` + rendition + `]}`))
	require.NoError(t, err, rendition)
	return p
}

// reference makes the same by the pure Go engine, lossless.
func reference(t testing.TB, file string, p pipeline.Pipeline) []engine.Rendition {
	t.Helper()
	p.Renditions = append([]pipeline.Rendition(nil), p.Renditions...)
	for i := range p.Renditions {
		p.Renditions[i].Format, p.Renditions[i].Chroma, p.Renditions[i].Progressive = pipeline.PNG, "", false
	}
	report, err := imaging.New().Render(t.Context(), engine.Job{Source: file, Dir: t.TempDir(), Pipeline: p})
	require.NoError(t, err)
	return report.Renditions
}

// alike renders p on both paths and compares.
func alike(t testing.TB, file string, p pipeline.Pipeline, least float64, name string) {
	t.Helper()
	alikeTo(t, file, p, least, 3, name)
}

// alikeWhole compares with a reference that is made from all pixels of the
// original: the pure Go engine decodes a JPEG that is made small at a half and less.
func alikeWhole(t testing.TB, file string, p pipeline.Pipeline, least, most float64, name string) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	m, err := jpeg.Decode(f)
	require.NoError(t, err)
	whole := filepath.Join(t.TempDir(), "whole.png")
	require.NoError(t, os.WriteFile(whole, enginetest.PNG(t, m), 0o600))
	compare(t, file, whole, p, least, most, name)
}

// alikeTo also says by how much colours may differ in the mean, of 255.
func alikeTo(t testing.TB, file string, p pipeline.Pipeline, least, most float64, name string) {
	t.Helper()
	compare(t, file, file, p, least, most, name)
}

// compare renders file, and original by the pure Go engine.
func compare(t testing.TB, file, original string, p pipeline.Pipeline, least, most float64, name string) {
	t.Helper()
	before := live()
	got, err := render(t, file, p, 2)
	require.NoError(t, err, name)
	require.Equal(t, before, live(), "%s: memory was not given back", name)
	for i, want := range reference(t, original, p) {
		assert.Equal(t, [2]int{want.Width, want.Height}, [2]int{got[i].Width, got[i].Height}, name)
		assert.Equal(t, engine.PathFast, got[i].Path)
		a, b := openPNG(t, want.File), show(t, got[i].File)
		require.Equal(t, a.Bounds().Size(), b.Bounds().Size(), name)
		likeness, difference := ssim(a, b), meanDifference(a, b)
		t.Logf("%s %s: SSIM %.4f, mean difference %.2f", name, want.Name, likeness, difference)
		if min(want.Width, want.Height) >= 8 { // a window of SSIM
			assert.GreaterOrEqual(t, likeness, least, "%s %s", name, want.Name)
		}
		assert.Less(t, difference, most, "%s %s", name, want.Name)
	}
}

const bothFormats = `{"name":"j","format":"jpeg","quality":95,"operations":[%[1]s]},
	{"name":"w","format":"webp","quality":95,"operations":[%[1]s]},
	{"name":"c","format":"jpeg","quality":95,"chroma":"444","progressive":true,"operations":[%[1]s]}`

// Every way to store a JPEG, even and odd sizes, at all shrinking factors.
func TestKindsOfOriginals(t *testing.T) {
	for name, k := range kinds {
		for _, size := range [][2]int{{768, 512}, {701, 517}, {33, 19}, {1, 1}} {
			file := fileOf(t, jpegOf(t, texture(size[0], size[1]), k))
			for _, by := range []float64{1, 1.6, 2, 3.3, 5, 9} {
				op := fmt.Sprintf(`{"op":"resize","width":%d}`, max(int(float64(size[0])/by), 1))
				alikeWhole(t, file, one(t, fmt.Sprintf(bothFormats, op)), 0.98, 7, fmt.Sprintf("%s %v by %g", name, size, by))
			}
		}
	}
}

// Real detail, as the shrinking in the DCT meets it.
func TestKindsOfPhotographs(t *testing.T) {
	for name, k := range kinds {
		file := fileOf(t, jpegOf(t, photograph(t), k))
		for _, width := range []int{768, 700, 500, 384, 300, 192, 150, 96, 80} {
			// 4:2:0 of a small picture of many colours is not that picture.
			op := fmt.Sprintf(`{"op":"resize","width":%d}`, width)
			alikeTo(t, file, one(t, fmt.Sprintf(bothFormats, op)), 0.98, 6, fmt.Sprintf("%s to %d", name, width))
		}
	}
}

func TestOrientations(t *testing.T) {
	for orientation := range 9 {
		file := fileOf(t, withEXIF(jpegOf(t, texture(357, 243), kinds["420"]), byte(orientation)))
		for _, ops := range []string{
			``, `{"op":"resize","width":120}`, `{"op":"resize","width":90,"height":90,"fit":"cover","gravity":"northwest"}`,
			`{"op":"crop","x":11,"y":35,"width":101,"height":77},{"op":"resize","width":70}`,
		} {
			alike(t, file, one(t, fmt.Sprintf(bothFormats, ops)), 0.98, fmt.Sprintf("orientation %d %s", orientation, ops))
		}
		keep := `{"name":"k","format":"jpeg","quality":95,"autoOrient":false,"operations":[{"op":"resize","width":120}]}`
		alike(t, file, one(t, keep), 0.98, "kept")
	}
}

func TestOperations(t *testing.T) {
	file := fileOf(t, jpegOf(t, texture(643, 421), kinds["420"]))
	for _, ops := range []string{
		`{"op":"flip","horizontal":true}`,
		`{"op":"flip","vertical":true},{"op":"resize","width":222}`,
		`{"op":"flip","horizontal":true,"vertical":true},{"op":"crop","width":101,"height":51,"x":3,"y":5}`,
		`{"op":"rotate","angle":90}`,
		`{"op":"rotate","angle":-90},{"op":"resize","width":111}`,
		`{"op":"resize","width":201},{"op":"rotate","angle":180}`,
		`{"op":"rotate","angle":270},{"op":"flip","vertical":true},{"op":"rotate","angle":90},{"op":"crop","width":99,"height":97,"gravity":"southeast"}`,
		`{"op":"crop","x":17,"y":31,"width":333,"height":201}`,
		`{"op":"crop","x":17,"y":31,"width":333,"height":201},{"op":"resize","width":99,"height":99,"fit":"stretch"}`,
		`{"op":"resize","width":301},{"op":"crop","x":7,"y":9,"width":55,"height":66},{"op":"resize","width":33}`,
		`{"op":"resize","width":150,"height":150,"fit":"cover"}`,
		`{"op":"resize","width":75,"height":150,"fit":"cover","gravity":"east"}`,
		`{"op":"resize","width":150,"height":151,"fit":"pad","background":"#c08040"}`,
		`{"op":"resize","width":201,"height":101,"fit":"pad","background":"#c08040","gravity":"northeast"},{"op":"rotate","angle":90},{"op":"flip","horizontal":true}`,
		`{"op":"resize","width":900}`,
		`{"op":"resize","width":900,"noEnlarge":true}`,
		`{"op":"resize","width":1200},{"op":"resize","width":300}`,
		`{"op":"resize","width":300},{"op":"resize","width":120}`,
	} {
		alike(t, file, one(t, fmt.Sprintf(bothFormats, ops)), 0.975, ops)
	}
}
