//go:build vips

package native_test

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/header"
	"imagemill/services/worker/engine/imaging"
	"imagemill/services/worker/engine/native"
	"imagemill/services/worker/engine/plan"
	"imagemill/services/worker/engine/ssim"
	"imagemill/services/worker/engine/vips"
)

// Pure Go, libvips and the fast path agree on 200 random pipelines over
// photographs: size, look and mean colour. Each operation and each output that
// both engines have takes part; WebP and AVIF, which pure Go cannot write, are
// compared with its PNG. What ran is what the plan, which explain prints, had
// said. The seed is fixed.
//
// Left out are gravity attention and entropy, whose place is the engine's choice:
// TestSmartCropsShowWhatThereIs holds them to less. A GIF is dithered, so that
// only its colours count.
func TestEnginesAgree(t *testing.T) {
	a := newAgreement(t)
	originals, large := photographs(t), enginetest.Shared(t, "photos", "nuthatch-2mp.jpg")
	a.mark = originals[2]
	random := rand.New(rand.NewPCG(3, 4))
	for i := range 200 {
		original, geometry := originals[random.IntN(len(originals))], random.IntN(3) == 0
		if geometry {
			original = large
		}
		a.compare(t, i, original, randomRendition(t, random, geometry))
	}
	t.Logf("paths %v, formats %v, least similarity %.4f", a.paths, a.formats, a.worst)
	t.Logf("operations %v", a.operations)
	require.Greater(t, a.paths[engine.PathVips], 50)
	require.Greater(t, a.paths[engine.PathFast], 30)
	require.Len(t, a.operations, 24, "an operation has had no turn")
}

// What is left to pure Go because it is tiny is as libvips would make it, and as
// Lanczos makes it of the same pixels.
func TestTinyPicturesAgree(t *testing.T) {
	a := newAgreement(t)
	photo := enginetest.Opaque(enginetest.Open(t, rendered(t, enginetest.Shared(t, "photos", "kodak-23.png"), `[{"op":"resize","width":120}]`)))
	random := rand.New(rand.NewPCG(5, 6))
	dir := t.TempDir()
	for i := 0; a.paths[engine.PathImaging] < 200; i++ {
		require.Less(t, i, 2000, "too few pipelines are for tiny pictures: %v", a.paths)
		m, opaque := tinyPicture(random, photo)
		original := filepath.Join(dir, fmt.Sprint(i, ".png"))
		require.NoError(t, os.WriteFile(original, enginetest.PNGWithExif(t, m, random.IntN(9)), 0o600))
		r := randomTiny(random)
		if planned, err := a.plan(t, original, r); err != nil || planned.Steps[0].Path != engine.PathImaging {
			continue
		}
		got := a.compare(t, i, original, r)
		if opaque && !slices.ContainsFunc(r.Operations, func(op pipeline.Operation) bool { return !moves(op) }) {
			a.scaled(t, original, r, *got)
		}
	}
	t.Logf("operations %v, formats %v, least similarity %.4f", a.operations, a.formats, a.worst)
	require.Greater(t, a.formats["scaled"], 40)
	require.Len(t, a.operations, 9, "an operation has had no turn")
}

// scaled holds a result to what Lanczos makes.
func (a *agreement) scaled(t *testing.T, original string, r pipeline.Rendition, got engine.Rendition) {
	t.Helper()
	p, q := enginetest.OpenWhole(t, original).Lanczos(t, r), enginetest.Opaque(enginetest.Open(t, got))
	alike, err := ssim.Images(p, q)
	require.NoError(t, err)
	a.worst = min(a.worst, alike)
	a.formats["scaled"]++
	assert.GreaterOrEqual(t, alike, 0.98, "%v", r)
	if r.Format == pipeline.PNG { // so few pixels with a quarter of the chroma have other colours
		assert.Less(t, enginetest.Difference(p, q), 1.5, "%v", r)
	}
}

// tinyPicture is a part of a photograph, in colours, grey, or partly transparent.
func tinyPicture(random *rand.Rand, photo *image.RGBA) (m draw.Image, opaque bool) {
	size := image.Rect(0, 0, 20+random.IntN(101), 20+random.IntN(60))
	m = []draw.Image{image.NewRGBA(size), image.NewRGBA(size), image.NewGray(size), image.NewNRGBA(size)}[random.IntN(4)]
	draw.Draw(m, size, photo, image.Pt(random.IntN(121-size.Dx()), random.IntN(80-size.Dy())), draw.Src)
	clear, ok := m.(*image.NRGBA)
	if ok {
		for i := 3; i < len(clear.Pix); i += 4 {
			clear.Pix[i] = uint8(min(255, i/4%size.Dx()*4))
		}
	}
	return m, !ok
}

// randomTiny has one to three operations that leave a tiny picture tiny.
func randomTiny(random *rand.Rand) pipeline.Rendition {
	r := pipeline.Rendition{Name: "a", Format: pipeline.PNG, KeepOrientation: random.IntN(4) == 0}
	if random.IntN(3) == 0 {
		r.Format, r.Quality = pipeline.JPEG, 95
	}
	scaling := random.IntN(3) == 0
	for range 1 + random.IntN(3) {
		op := randomOperation(random, 16, 110)
		for held(op) == pipeline.Focus || scaling && !moves(op) {
			op = randomOperation(random, 16, 110)
		}
		r.Operations = append(r.Operations, op)
	}
	return r
}

// agreement is the engines that are compared, and what they were compared on.
type agreement struct {
	pure, native, slow engine.Engine
	can                engine.Abilities
	mark               string // what watermarks are made of
	paths, operations  map[string]int
	formats            map[pipeline.Format]int
	worst              float64
}

func newAgreement(t *testing.T) *agreement {
	t.Helper()
	a := &agreement{paths: map[string]int{}, operations: map[string]int{}, formats: map[pipeline.Format]int{}, worst: 1}
	var err error
	a.slow, err = vips.New()
	require.NoError(t, err)
	a.pure, a.native = imaging.New(), newEngine(t)
	a.can, err = native.Abilities()
	require.NoError(t, err)
	return a
}

// plan is what explain tells.
func (a *agreement) plan(t *testing.T, original string, r pipeline.Rendition) (plan.Plan, error) {
	t.Helper()
	info, err := header.Open(original, 100)
	require.NoError(t, err)
	return plan.Make(pipeline.Pipeline{Renditions: []pipeline.Rendition{r}}, info.Picture, a.can)
}

// compare makes a rendition by all ways that there are, and gives what the native
// engine has made; nil where all agree that it cannot be made.
func (a *agreement) compare(t *testing.T, i int, original string, r pipeline.Rendition) *engine.Rendition {
	t.Helper()
	p := pipeline.Pipeline{Renditions: []pipeline.Rendition{r}}
	document, err := p.MarshalJSON()
	require.NoError(t, err)
	name := fmt.Sprintf("%d %s %s", i, filepath.Base(original), document)
	pure := p
	if r.Format == pipeline.WebP || r.Format == pipeline.AVIF {
		pure = pipeline.Pipeline{Renditions: []pipeline.Rendition{r}}
		pure.Renditions[0].Format, pure.Renditions[0].Quality, pure.Renditions[0].Lossless = pipeline.PNG, 0, false
	}
	want, err := a.render(t, a.pure, original, pure)
	got, err2 := a.render(t, a.native, original, p)
	if err != nil {
		require.Error(t, err2, name)
		require.Equal(t, fault.KindOf(err), fault.KindOf(err2), name)
		return nil
	}
	require.NoError(t, err2, name)
	planned, err := a.plan(t, original, r)
	require.NoError(t, err)
	require.Equal(t, planned.Steps[0].Path, got.Path, "what explain tells is not what ran: %s", name)
	a.alike(t, want, got, name)
	if got.Path == engine.PathFast || got.Path == engine.PathImaging {
		other, err := a.render(t, a.slow, original, p)
		require.NoError(t, err, name)
		require.Equal(t, engine.PathVips, other.Path)
		a.alike(t, want, other, name)
		a.alike(t, other, got, name)
	}
	a.paths[got.Path]++
	a.formats[r.Format]++
	for _, op := range r.Operations {
		a.operations[op.Op()]++
	}
	return &got
}

func (a *agreement) render(t *testing.T, e engine.Engine, original string, p pipeline.Pipeline) (engine.Rendition, error) {
	job := engine.Job{Source: original, Dir: t.TempDir(), Pipeline: p, Assets: map[string]string{}}
	for _, asset := range p.Assets() {
		job.Assets[asset.Key()] = a.mark
	}
	report, err := e.Render(t.Context(), job)
	if err != nil {
		return engine.Rendition{}, err
	}
	return report.Renditions[0], nil
}

// alike holds two results to each other.
func (a *agreement) alike(t *testing.T, want, got engine.Rendition, name string) {
	t.Helper()
	p, q := onGrey(a.open(t, want)), onGrey(a.open(t, got))
	require.Equal(t, p.Bounds(), q.Bounds(), name)
	within := 2.0
	if want.Format == pipeline.GIF {
		within = 4
	} else {
		alike, err := ssim.Images(p, q)
		require.NoError(t, err)
		a.worst = min(a.worst, alike)
		assert.GreaterOrEqual(t, alike, 0.98, name)
	}
	m, n := means(p), means(q)
	for i := range m {
		assert.InDelta(t, m[i], n[i], within, "%s channel %d: %v %v", name, i, m, n)
	}
}

// open reads a result, those that Go cannot read by way of a PNG.
func (a *agreement) open(t *testing.T, r engine.Rendition) image.Image {
	t.Helper()
	if r.Format == pipeline.WebP || r.Format == pipeline.AVIF {
		again, err := a.render(t, a.slow, r.File, pipeline.Pipeline{Renditions: []pipeline.Rendition{{Name: "again", Format: pipeline.PNG, Effort: 1}}})
		require.NoError(t, err)
		r = again
	}
	return enginetest.Open(t, r)
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

// randomRendition has one to four operations; with geometry, those that the fast
// path has, into a format that it writes.
func randomRendition(t *testing.T, random *rand.Rand, geometry bool) pipeline.Rendition {
	formats := []pipeline.Format{pipeline.JPEG, pipeline.PNG, pipeline.JPEG, pipeline.PNG, pipeline.TIFF, pipeline.WebP, pipeline.AVIF, pipeline.GIF}
	if geometry {
		formats = []pipeline.Format{pipeline.JPEG, pipeline.WebP}
	}
	r := pipeline.Rendition{
		Name: "a", Format: formats[random.IntN(len(formats))], KeepOrientation: random.IntN(4) == 0,
		FocalPoint: &pipeline.Focal{X: random.Float64(), Y: random.Float64()},
	}
	switch {
	case r.Format == pipeline.JPEG, geometry:
		r.Quality = 95
	case r.Format == pipeline.WebP, r.Format == pipeline.AVIF:
		r.Lossless = true // what it is compared with has no loss either
	case r.Format == pipeline.PNG:
		r.Effort = 1 // zlib's would be most of the time
	}
	focus := false
	for range 1 + random.IntN(4) {
		op := randomOperation(random, 60, 400)
		for geometry && !moves(op) {
			op = randomOperation(random, 60, 400)
		}
		focus = focus || held(op) == pipeline.Focus
		r.Operations = append(r.Operations, op)
	}
	if !focus {
		r.FocalPoint = nil
	}
	document, err := pipeline.Pipeline{Renditions: []pipeline.Rendition{r}}.MarshalJSON()
	require.NoError(t, err)
	parsed, err := pipeline.Parse(document)
	require.NoError(t, err, string(document))
	return parsed.Renditions[0]
}

// held is the gravity of a cut.
func held(op pipeline.Operation) pipeline.Gravity {
	switch o := op.(type) {
	case pipeline.Crop:
		return o.Gravity
	case pipeline.Resize:
		return o.Gravity
	}
	return ""
}

// moves reports whether an operation only moves and scales pixels.
func moves(op pipeline.Operation) bool {
	switch o := op.(type) {
	case pipeline.Crop, pipeline.Resize:
		return held(op) != pipeline.Focus
	case pipeline.Flip:
		return true
	case pipeline.Rotate:
		return math.Mod(o.Angle, 90) == 0
	}
	return false
}

// randomOperation asks for sides of least pixels and up to span more.
func randomOperation(random *rand.Rand, least, span int) pipeline.Operation {
	w, h := least+random.IntN(span), least+random.IntN(span)
	fits := []pipeline.Fit{pipeline.Contain, pipeline.Cover, pipeline.Pad, pipeline.Stretch}
	percent := math.Round(random.Float64()*100 - 50)
	gravities := []pipeline.Gravity{"", pipeline.North, pipeline.SouthEast, pipeline.West, pipeline.Focus}
	places, colours := gravities[:4], []pipeline.Color{"#304050", "#ff880080", "#ffffff"}
	switch random.IntN(30) {
	case 0:
		return pipeline.Crop{Width: w, Height: h, Gravity: gravities[random.IntN(5)]}
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
	case 13:
		x, y := random.IntN(60), random.IntN(60)
		return pipeline.Crop{Width: w, Height: h, X: &x, Y: &y}
	case 14:
		return pipeline.Trim{Threshold: 20 + random.IntN(40)}
	case 15:
		return pipeline.Extend{Top: random.IntN(30), Left: 1 + random.IntN(30), Bottom: random.IntN(9), Background: colours[random.IntN(3)]}
	case 16:
		return pipeline.Pixelate{Size: 2 + random.IntN(20)}
	case 17:
		return pipeline.Sepia{Percent: percent + 50}
	case 18:
		return pipeline.Tint{Color: "#ffb060"}
	case 19:
		return pipeline.ExtractChannel{Channel: []pipeline.Channel{pipeline.Red, pipeline.Green, pipeline.Blue}[random.IntN(3)]}
	case 20:
		return pipeline.RoundCorners{Percent: 1 + 49*math.Round(random.Float64()*100)/100}
	case 21:
		return pipeline.Flatten{Background: "#e0c0a0"}
	case 22:
		o := pipeline.Watermark{Image: "mark", X: random.IntN(9), Y: random.IntN(9), Opacity: 0.7, Scale: 0.1 + 0.4*random.Float64()}
		if o.Tile = random.IntN(3) == 0; !o.Tile {
			o.Gravity = places[random.IntN(4)]
		}
		return o
	case 23:
		return pipeline.Text{Text: "A mill\non a hill", Size: 24, Color: "#ffe0c0", Gravity: places[random.IntN(4)], X: 3, Y: 4, Opacity: 0.9}
	case 24:
		return pipeline.Resize{Percent: 30 + 90*random.Float64()}
	case 25:
		return pipeline.Resize{Megapixels: 0.02 + 0.1*random.Float64(), NoEnlarge: true}
	case 26:
		return pipeline.Resize{Width: 100, Height: 90, DPR: 1 + random.Float64(), Fit: pipeline.Stretch}
	}
	o := pipeline.Resize{Width: w, Height: h, Fit: fits[random.IntN(4)], NoEnlarge: random.IntN(2) == 0}
	if o.Fit == pipeline.Cover || o.Fit == pipeline.Pad {
		o.Gravity = places[random.IntN(4)]
	}
	if o.Fit == pipeline.Cover && random.IntN(4) == 0 {
		o.Gravity = pipeline.Focus
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
