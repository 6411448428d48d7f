//go:build vips

package turbo

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/plan"
)

// The passes for wide registers and those in plain C give the same bytes.
func TestPassesAgree(t *testing.T) {
	defer wide(true)
	if !wide(true) {
		t.Skip("this machine has only the plain passes")
	}
	c, stop := begin(t.Context())
	defer stop()
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		w, h := 1+random.IntN(300), 1+random.IntN(200)
		from := planes(t, texture(w, h), kinds["420"])
		data, _ := from.samples(0)
		for i := range data {
			data[i] = byte(random.IntN(2) * 255) // the hardest edges
		}
		g := whole(w, h)
		g.orient(1 + random.IntN(8))
		g.x.resize(1 + random.IntN(400))
		g.y.resize(1 + random.IntN(400))
		grids := []grid{{1, 1, w, h}, {2, 2, (w + 1) / 2, (h + 1) / 2}, {2, 2, (w + 1) / 2, (h + 1) / 2}}
		var made [2]picture
		for i, on := range []bool{false, true} {
			wide(on)
			var err error
			made[i], err = newPicture(3, g.x.n, g.y.n, sampling{2, 2})
			require.NoError(t, err)
			require.NoError(t, (result{made[i], g}).resample(c, from, grids))
		}
		for component := range 3 {
			a, stride := made[0].samples(component)
			b, _ := made[1].samples(component)
			every := min(component+1, 2)
			for y := range (g.y.n + every - 1) / every {
				n := (g.x.n + every - 1) / every
				require.Equal(t, a[y*stride:y*stride+n], b[y*stride:y*stride+n], "%d×%d to %+v", w, h, g)
			}
		}
		made[0].free()
		made[1].free()
		from.free()
	}
}

// waves has a chroma that is known at every point, also between pixels.
func waves(at float64) float64 { return 128 + 60*math.Sin(2*math.Pi*at/32) }

// A chroma sample lies in the middle of the pixels that it covers, whatever is
// cut off before it. Half a pixel of difference would be some six levels.
func TestChromaStaysWhereItIs(t *testing.T) {
	for name, k := range kinds {
		if k.grey {
			continue
		}
		c, stop := begin(t.Context())
		p, err := newPicture(3, 256, 64, k.sampling)
		require.NoError(t, err)
		for component := range 3 {
			data, stride := p.samples(component)
			for i := range data {
				data[i] = 128
				if component == 1 {
					data[i] = uint8(waves((float64(i%stride)+0.5)*float64(k.sx)) + 0.5)
				}
			}
		}
		e, err := p.jpeg(c, 100, false, k.progressive)
		require.NoError(t, err)
		file := fileOf(t, e.bytes())
		e.free()
		p.free()
		stop()
		for _, cut := range []int{0, 1, 2, 3, 37} {
			for _, width := range []int{200, 150, 100, 99} {
				x, y := cut, cut%2
				pl := pipeline.Pipeline{Renditions: []pipeline.Rendition{{Name: "a", Format: pipeline.JPEG, Quality: 100, Operations: []pipeline.Operation{
					pipeline.Crop{X: &x, Y: &y, Width: 200, Height: 40}, pipeline.Resize{Width: width},
				}}}}
				done, err := render(t, file, pl, 1)
				require.NoError(t, err)
				m := readPicture(t, done[0].File).(*image.YCbCr)
				for i := 4; i < width/2-4; i++ {
					want := waves(float64(cut) + (float64(2*i)+1)*200/float64(width))
					got := float64(m.Cb[m.CStride*(m.Rect.Dy()/4)+i])
					assert.InDelta(t, want, got, 3, "%s cut at %d to %d, sample %d", name, cut, width, i)
				}
			}
		}
	}
}

// A flat colour comes out as it is, in both formats and from grey.
func TestColoursStay(t *testing.T) {
	for _, want := range []color.NRGBA{
		{R: 255, G: 255, B: 255, A: 255}, {A: 255}, {R: 128, G: 128, B: 128, A: 255}, {R: 250, G: 20, B: 30, A: 255},
		{R: 10, G: 200, B: 40, A: 255}, {R: 20, G: 30, B: 240, A: 255}, {R: 200, G: 170, B: 140, A: 255},
	} {
		m := image.NewNRGBA(image.Rect(0, 0, 90, 70))
		for i := range m.Pix {
			m.Pix[i] = [4]uint8{want.R, want.G, want.B, want.A}[i%4]
		}
		for name, k := range map[string]kind{"420": kinds["420"], "gray": kinds["gray"]} {
			expect := want
			if k.grey {
				l := color.GrayModel.Convert(want).(color.Gray).Y
				expect = color.NRGBA{l, l, l, 255}
			}
			file := fileOf(t, jpegOf(t, m, k))
			done, err := render(t, file, widths([]pipeline.Format{pipeline.JPEG, pipeline.WebP}, 0, 45), 1)
			require.NoError(t, err)
			for _, d := range done {
				got := color.NRGBAModel.Convert(enginetest.Lossy(t, d.File).At(20, 20)).(color.NRGBA)
				for _, pair := range [][2]uint8{{expect.R, got.R}, {expect.G, got.G}, {expect.B, got.B}} {
					assert.InDelta(t, pair[0], pair[1], 4, "%s %v as %s: %v", name, want, d.Format, got)
				}
			}
			if k.grey {
				_, grey := readPicture(t, done[0].File).(*image.Gray)
				assert.True(t, grey, "a grey original stays grey")
			}
		}
	}
}

// Many renditions of one job, of which some continue from larger ones, some
// show the same picture, and one cuts.
func TestManyRenditions(t *testing.T) {
	file := fileOf(t, withEXIF(jpegOf(t, texture(1203, 805), kinds["420"]), 6))
	p := one(t, `{"name":"a","format":"jpeg","quality":95,"operations":[{"op":"resize","width":700}]},
		{"name":"b","format":"webp","quality":95,"operations":[{"op":"resize","width":700}]},
		{"name":"c","format":"jpeg","quality":95,"operations":[{"op":"resize","width":340}]},
		{"name":"d","format":"webp","quality":95,"operations":[{"op":"resize","width":340},{"op":"crop","width":99,"height":101}]},
		{"name":"e","format":"jpeg","quality":95,"operations":[{"op":"resize","width":80}]},
		{"name":"f","format":"jpeg","quality":95,"chroma":"444","operations":[{"op":"resize","width":81,"height":81,"fit":"cover"}]},
		{"name":"g","format":"jpeg","quality":95,"operations":[{"op":"resize","width":90,"height":80,"fit":"pad","background":"#102030"}]},
		{"name":"h","format":"jpeg","quality":95}`)
	alike(t, file, p, 3, "many")
}

// So many large results that the decoded planes are kept instead of theirs.
func TestManyLargeRenditionsAreMadeOneAfterTheOther(t *testing.T) {
	file := fileOf(t, jpegOf(t, texture(2000, 1500), kinds["420"]))
	var p pipeline.Pipeline
	for i := range 20 {
		p.Renditions = append(p.Renditions, pipeline.Rendition{
			Name: string(rune('a' + i)), Format: pipeline.JPEG, Operations: []pipeline.Operation{pipeline.Resize{Width: 1990 - i}},
		})
	}
	before := live()
	done, err := render(t, file, p, 2)
	require.NoError(t, err)
	assert.Equal(t, before, live())
	require.Len(t, done, 20)
	want := lumaOf(t, file, 1980, 1485, 1)
	assert.Greater(t, likeness(t, want, readPicture(t, done[10].File)), 0.98)
}

func TestMaxBytes(t *testing.T) {
	file := fileOf(t, jpegOf(t, texture(700, 500), kinds["420"]))
	for _, f := range []pipeline.Format{pipeline.JPEG, pipeline.WebP} {
		p := widths([]pipeline.Format{f}, 0, 600)
		free, err := render(t, file, p, 1)
		require.NoError(t, err)
		p.Renditions[0].MaxBytes = free[0].Bytes * 2 / 3
		held, err := render(t, file, p, 1)
		require.NoError(t, err)
		assert.LessOrEqual(t, held[0].Bytes, p.Renditions[0].MaxBytes)
		assert.Greater(t, held[0].Bytes, p.Renditions[0].MaxBytes*8/10)
		stat, err := os.Stat(held[0].File)
		require.NoError(t, err)
		assert.Equal(t, held[0].Bytes, stat.Size())
		p.Renditions[0].MaxBytes = 1000
		_, err = render(t, file, p, 1)
		assert.Equal(t, fault.Unprocessable, fault.KindOf(err), "%v", err)
	}
}

func TestStepsThatAreNotFastAreLeftOut(t *testing.T) {
	file := fileOf(t, jpegOf(t, texture(70, 50), kinds["420"]))
	picture := engine.Picture{Format: "jpeg", Width: 70, Height: 50, Orientation: 1, Frames: 1}
	p := one(t, `{"name":"a","format":"png"},{"name":"b","format":"jpeg"}`)
	steps := plan.Plan{Steps: []plan.Step{{Rendition: 0, From: plan.Original}, {Rendition: 1, From: plan.Original, Fast: true}}}
	dir := t.TempDir()
	done, err := Render(t.Context(), engine.Job{Source: file, Dir: dir, Pipeline: p}, picture, steps, 0)
	require.NoError(t, err)
	require.Len(t, done, 1)
	assert.Equal(t, engine.Rendition{
		Name: "b", File: filepath.Join(dir, "b.jpg"), Width: 70, Height: 50, Format: pipeline.JPEG,
		ContentType: "image/jpeg", Bytes: done[1].Bytes, Path: engine.PathFast,
	}, done[1])
	done, err = Render(t.Context(), engine.Job{Source: file, Dir: dir, Pipeline: p}, picture, plan.Plan{}, 0)
	assert.NoError(t, err)
	assert.Empty(t, done)
}

// The real photographs of every orientation.
func TestPhotographsOfEveryOrientation(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(enginetest.Shared(t, "photos", "orientation"), "*.jpg"))
	require.NoError(t, err)
	for _, f := range files {
		alike(t, f, one(t, fmt.Sprintf(bothFormats, `{"op":"resize","width":200}`)), 6, filepath.Base(f))
	}
}
