//go:build vips

package turbo

import (
	"fmt"
	"image"
	"image/draw"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
)

// one is a pipeline of one rendition, by the operations of its document.
func one(t testing.TB, rendition string) pipeline.Pipeline {
	t.Helper()
	p, err := pipeline.Parse([]byte(`{"version":1,"renditions":[` + rendition + `]}`))
	require.NoError(t, err, rendition)
	return p
}

// alike renders p of a file, and compares with what Lanczos makes of all its pixels:
// by a structural similarity of 0.98, and by how much colours may differ in the
// mean, of 255.
func alike(t testing.TB, file string, p pipeline.Pipeline, most float64, name string) {
	t.Helper()
	alikeTo(t, file, enginetest.OpenWhole(t, file), p, most, name)
}

// alikeTo is alike for an original that is decoded already.
func alikeTo(t testing.TB, file string, whole enginetest.Whole, p pipeline.Pipeline, most float64, name string) {
	t.Helper()
	before := live()
	got, err := render(t, file, p, 2)
	require.NoError(t, err, name)
	require.Equal(t, before, live(), "%s: memory was not given back", name)
	compare(t, got, engine.PathFast, whole, p, most, name)
}

// leastAlike is the structural similarity that is promised of each result.
const leastAlike = 0.98

// compare holds results to what Lanczos makes.
func compare(t testing.TB, got map[int]engine.Rendition, path string, whole enginetest.Whole, p pipeline.Pipeline, most float64, name string) {
	t.Helper()
	wanted := map[string]*image.RGBA{} // by operations: formats share them
	for i, r := range p.Renditions {
		key := fmt.Sprint(r.KeepOrientation, r.Operations)
		if wanted[key] == nil {
			wanted[key] = whole.Lanczos(t, r)
		}
		a, b := wanted[key], enginetest.Lossy(t, got[i].File)
		assert.Equal(t, path, got[i].Path)
		assert.Equal(t, a.Rect.Size(), image.Pt(got[i].Width, got[i].Height), name)
		require.Equal(t, a.Rect.Size(), b.Rect.Size(), name)
		like, difference := likeness(t, a, b), enginetest.Difference(a, b)
		t.Logf("%s %s: SSIM %.4f, mean difference %.2f", name, r.Name, like, difference)
		if min(a.Rect.Dx(), a.Rect.Dy()) >= 8 { // a window of SSIM
			assert.GreaterOrEqual(t, like, leastAlike, "%s %s", name, r.Name)
		}
		assert.Less(t, difference, most, "%s %s", name, r.Name)
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
			whole := enginetest.OpenWhole(t, file)
			for _, by := range []float64{1, 1.6, 2, 3.3, 5, 9} {
				op := fmt.Sprintf(`{"op":"resize","width":%d}`, max(int(float64(size[0])/by), 1))
				alikeTo(t, file, whole, one(t, fmt.Sprintf(bothFormats, op)), 7, fmt.Sprintf("%s %v by %g", name, size, by))
			}
		}
	}
}

// Real detail, as the shrinking in the DCT meets it.
func TestKindsOfPhotographs(t *testing.T) {
	for name, k := range kinds {
		file := fileOf(t, jpegOf(t, photograph(t), k))
		whole := enginetest.OpenWhole(t, file)
		for _, width := range []int{768, 700, 500, 384, 300, 192, 150, 96, 80} {
			// 4:2:0 of a small picture of many colours is not that picture.
			op := fmt.Sprintf(`{"op":"resize","width":%d}`, width)
			alikeTo(t, file, whole, one(t, fmt.Sprintf(bothFormats, op)), 6, fmt.Sprintf("%s to %d", name, width))
		}
	}
}

// Every way to store a JPEG of an odd size, by every orientation. A part of the
// photograph is all but flat: what 95 leaves of its grain is 0.977 in a WebP.
func TestOrientations(t *testing.T) {
	part := image.NewRGBA(image.Rect(0, 0, 237, 163))
	draw.Draw(part, part.Rect, photograph(t), image.Pt(200, 100), draw.Src)
	finest := strings.ReplaceAll(bothFormats, `"quality":95`, `"quality":100`)
	for _, k := range []struct {
		name string
		m    image.Image
	}{{"420", texture(357, 243)}, {"420", part}, {"422", part}, {"444", part}, {"gray", part}, {"progressive", part}} {
		original := jpegOf(t, k.m, kinds[k.name])
		for orientation := range 9 {
			file := fileOf(t, withEXIF(original, byte(orientation)))
			whole := enginetest.OpenWhole(t, file)
			require.Equal(t, max(orientation, 1), max(whole.Orientation, 1))
			for _, ops := range []string{
				``, `{"op":"resize","width":120}`, `{"op":"resize","width":90,"height":90,"fit":"cover","gravity":"northwest"}`,
				`{"op":"crop","x":11,"y":35,"width":101,"height":77},{"op":"resize","width":70}`,
			} {
				name := fmt.Sprintf("%s of %v by orientation %d: %s", k.name, k.m.Bounds().Size(), orientation, ops)
				alikeTo(t, file, whole, one(t, fmt.Sprintf(finest, ops)), 3, name)
			}
			keep := `{"name":"k","format":"jpeg","quality":95,"autoOrient":false,"operations":[{"op":"resize","width":120}]}`
			alikeTo(t, file, whole, one(t, keep), 3, k.name+" kept")
		}
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
		alike(t, file, one(t, fmt.Sprintf(bothFormats, ops)), 3, ops)
	}
}
