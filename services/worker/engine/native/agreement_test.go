//go:build vips

package native_test

import (
	"image"
	"image/color"
	"image/draw"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/imaging"
	"imagemill/services/worker/engine/ssim"
)

// Pure Go and native agree on 200 random pipelines over a photograph: size,
// look and mean colour. The seed is fixed.
func TestEnginesAgree(t *testing.T) {
	originals, large := photographs(t), enginetest.Shared(t, "photos", "nuthatch-2mp.jpg")
	pure, fast := enginetest.Suite{Engine: imaging.New()}, enginetest.Suite{Engine: newEngine(t)}
	random := rand.New(rand.NewPCG(3, 4))
	paths, worst := map[string]int{}, 1.0
	for range 200 {
		original, geometry := originals[random.IntN(len(originals))], random.IntN(3) == 0
		if geometry {
			original = large
		}
		document := randomPipeline(t, random, geometry)
		want, err := pure.RenderFile(t, original, document, engine.Limits{})
		got, err2 := fast.RenderFile(t, original, document, engine.Limits{})
		if err != nil {
			require.Error(t, err2, document)
			continue
		}
		require.NoError(t, err2, document)
		a, b := onGrey(enginetest.Open(t, want.Renditions[0])), onGrey(enginetest.Open(t, got.Renditions[0]))
		require.Equal(t, a.Bounds(), b.Bounds(), document)
		alike, err := ssim.Images(a, b)
		require.NoError(t, err)
		worst = min(worst, alike)
		require.GreaterOrEqual(t, alike, 0.98, "%s %s", filepath.Base(original), document)
		p, q := means(a), means(b)
		for i := range p {
			require.InDelta(t, p[i], q[i], 2, "%s %s channel %d: %v %v", filepath.Base(original), document, i, p, q)
		}
		paths[got.Renditions[0].Path]++
	}
	t.Logf("paths %v, least similarity %.4f", paths, worst)
	require.Greater(t, paths[engine.PathVips], 50)
	require.Greater(t, paths[engine.PathFast], 30)
}

// photographs are a JPEG and two PNGs, one of which has transparent parts.
func photographs(t *testing.T) []string {
	m := enginetest.Open(t, rendered(t, enginetest.Shared(t, "photos", "kodak-23.png"), `[{"op":"resize","width":360}]`))
	n := image.NewNRGBA(m.Bounds())
	draw.Draw(n, n.Rect, m, image.Point{}, draw.Src)
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		name = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(name, b, 0o600))
		return name
	}
	out := []string{write("photo.jpg", enginetest.JPEG(t, n, 6)), write("photo.png", enginetest.PNG(t, n))}
	for y := range n.Rect.Dy() {
		for x := range n.Rect.Dx() {
			n.Pix[n.PixOffset(x, y)+3] = uint8(min(255, 2*x))
		}
	}
	return append(out, write("clear.png", enginetest.PNG(t, n)))
}

func rendered(t *testing.T, path, document string) engine.Rendition {
	report, err := enginetest.Suite{Engine: imaging.New()}.RenderFile(t, path, document, engine.Limits{})
	require.NoError(t, err)
	return report.Renditions[0]
}

// randomPipeline is one rendition of one to four operations; with geometry,
// those that the fast path has, into a JPEG.
func randomPipeline(t *testing.T, random *rand.Rand, geometry bool) string {
	formats := []pipeline.Format{pipeline.JPEG, pipeline.PNG}
	r := pipeline.Rendition{Name: "a", Format: formats[random.IntN(2)], Quality: 95, KeepOrientation: random.IntN(4) == 0}
	if geometry {
		r.Format = pipeline.JPEG
	}
	for range 1 + random.IntN(4) {
		op := randomOperation(random)
		for geometry && !moves(op) {
			op = randomOperation(random)
		}
		r.Operations = append(r.Operations, op)
	}
	document, err := pipeline.Pipeline{Renditions: []pipeline.Rendition{r}}.MarshalJSON()
	require.NoError(t, err)
	return string(document)
}

// moves reports whether an operation only moves and scales pixels.
func moves(op pipeline.Operation) bool {
	switch o := op.(type) {
	case pipeline.Crop, pipeline.Flip, pipeline.Resize:
		return true
	case pipeline.Rotate:
		return math.Mod(o.Angle, 90) == 0
	}
	return false
}

func randomOperation(random *rand.Rand) pipeline.Operation {
	w, h := 60+random.IntN(400), 60+random.IntN(400)
	fits := []pipeline.Fit{pipeline.Contain, pipeline.Cover, pipeline.Pad, pipeline.Stretch}
	percent := math.Round(random.Float64()*100 - 50)
	gravities := []pipeline.Gravity{"", pipeline.North, pipeline.SouthEast, pipeline.West}
	switch random.IntN(16) {
	case 0:
		return pipeline.Crop{Width: w, Height: h, Gravity: gravities[random.IntN(4)]}
	case 1:
		return pipeline.Rotate{Angle: float64(90 * random.IntN(4))}
	case 2:
		return pipeline.Rotate{Angle: percent, Background: "#304050"}
	case 3:
		return pipeline.Flip{Horizontal: true, Vertical: random.IntN(2) == 0}
	case 4:
		return pipeline.Blur{Sigma: 0.3 + 3*random.Float64()}
	case 5:
		return pipeline.Sharpen{Sigma: 0.3 + random.Float64()}
	case 6:
		return pipeline.Grayscale{}
	case 7:
		return pipeline.Brightness{Percent: percent}
	case 8:
		return pipeline.Contrast{Percent: percent}
	case 9:
		return pipeline.Gamma{Value: 0.5 + random.Float64()}
	case 10:
		return pipeline.Saturation{Percent: percent}
	case 11:
		return pipeline.Hue{Degrees: 3 * percent}
	case 12:
		return []pipeline.Operation{pipeline.Invert{}, pipeline.SwapRedBlue{}}[random.IntN(2)]
	}
	o := pipeline.Resize{Width: w, Height: h, Fit: fits[random.IntN(4)], NoEnlarge: random.IntN(2) == 0}
	if o.Fit == pipeline.Cover || o.Fit == pipeline.Pad {
		o.Gravity = gravities[random.IntN(4)]
	}
	if o.Fit == pipeline.Pad {
		o.Background = "#8090a0"
	}
	return o
}

// onGrey lays a picture over grey, so that what is transparent counts alike.
func onGrey(m image.Image) *image.NRGBA {
	out := image.NewNRGBA(image.Rect(0, 0, m.Bounds().Dx(), m.Bounds().Dy()))
	draw.Draw(out, out.Rect, image.NewUniform(color.Gray{Y: 128}), image.Point{}, draw.Src)
	draw.Draw(out, out.Rect, m, m.Bounds().Min, draw.Over)
	return out
}

func means(m *image.NRGBA) [3]float64 {
	var sum [3]float64
	for i, v := range m.Pix {
		if i%4 < 3 {
			sum[i%4] += float64(v)
		}
	}
	n := float64(len(m.Pix) / 4)
	return [3]float64{sum[0] / n, sum[1] / n, sum[2] / n}
}
