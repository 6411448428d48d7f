package enginetest

import (
	"image"
	"image/color"
	"image/draw"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	scaling "golang.org/x/image/draw"
	_ "golang.org/x/image/webp" // results are read back

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine/header"
)

// Whole is a picture of which no pixel has been left out, with its orientation. It
// shares no code with the engines, which decode what is made small at a part of its
// size: what they make is held to what Lanczos makes of this.
type Whole struct {
	Pixels      *image.RGBA
	Orientation int
}

// OpenWhole decodes an opaque original by the standard library.
func OpenWhole(t testing.TB, name string) Whole {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	m, _, err := image.Decode(f)
	require.NoError(t, err, name)
	info, err := header.Open(name, 1)
	require.NoError(t, err, name)
	return Whole{Opaque(m), info.Orientation}
}

// lanczos is Lanczos' window of three lobes.
var lanczos = scaling.Kernel{Support: 3, At: func(t float64) float64 {
	if t == 0 {
		return 1
	}
	sinc := func(x float64) float64 { return math.Sin(math.Pi*x) / (math.Pi * x) }
	return sinc(t) * sinc(t/3)
}}

// Lanczos carries out a rendition's operations one after the other, as they are
// described. It knows those that move and scale pixels.
func (w Whole) Lanczos(t testing.TB, r pipeline.Rendition) *image.RGBA {
	t.Helper()
	m := w.Pixels
	if !r.KeepOrientation {
		m = Upright(m, w.Orientation)
	}
	sizes, err := r.Plan(w.Pixels.Rect.Dx(), w.Pixels.Rect.Dy(), w.Orientation)
	require.NoError(t, err)
	for i, op := range r.Operations {
		switch o := op.(type) {
		case pipeline.Flip:
			if o.Horizontal {
				m = Upright(m, 2)
			}
			if o.Vertical {
				m = Upright(m, 4)
			}
		case pipeline.Rotate:
			m = Upright(m, map[float64]int{0: 1, 90: 6, 180: 3, 270: 8}[math.Mod(o.Angle+720, 360)])
		case pipeline.Crop:
			m = piece(o.Rectangle(m.Rect.Dx(), m.Rect.Dy()))(m)
		case pipeline.Resize:
			m = resized(m, o, sizes[i+1])
		default:
			require.Fail(t, "Lanczos only moves and scales", op.Op())
		}
	}
	return m
}

// piece gives what cuts a rectangle out.
func piece(x, y, w, h int) func(*image.RGBA) *image.RGBA {
	return func(m *image.RGBA) *image.RGBA {
		out := image.NewRGBA(image.Rect(0, 0, w, h))
		draw.Draw(out, out.Rect, m, image.Pt(x, y), draw.Src)
		return out
	}
}

func resized(m *image.RGBA, o pipeline.Resize, to pipeline.Step) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, to.Width, to.Height))
	place := out.Rect
	switch o.Fit {
	case pipeline.Cover:
		m = piece(o.Source(m.Rect.Dx(), m.Rect.Dy()))(m)
	case pipeline.Pad:
		w, h := o.Within(m.Rect.Dx(), m.Rect.Dy())
		x, y := o.Gravity.Offset(to.Width, to.Height, w, h)
		r, g, b, a := o.Background.NRGBA()
		draw.Draw(out, out.Rect, image.NewUniform(color.NRGBA{R: r, G: g, B: b, A: a}), image.Point{}, draw.Src)
		place = image.Rect(x, y, x+w, y+h)
	case pipeline.Contain, pipeline.Stretch, "":
	}
	if place.Size() == m.Rect.Size() {
		draw.Draw(out, place, m, image.Point{}, draw.Src)
	} else {
		lanczos.Scale(out, place, m, m.Rect, draw.Src, nil)
	}
	return out
}

// Upright turns a picture that is stored by an orientation; 0 stands for 1.
func Upright(m *image.RGBA, orientation int) *image.RGBA {
	if orientation <= 1 {
		return m
	}
	w, h := m.Rect.Dx(), m.Rect.Dy()
	if orientation >= 5 {
		w, h = h, w
	}
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			from := [9][2]int{
				{}, {}, {w - 1 - x, y}, {w - 1 - x, h - 1 - y}, {x, h - 1 - y},
				{y, x}, {y, w - 1 - x}, {h - 1 - y, w - 1 - x}, {h - 1 - y, x},
			}[orientation]
			copy(out.Pix[4*(y*w+x):][:4], m.Pix[m.PixOffset(from[0], from[1]):])
		}
	}
	return out
}

// Opaque gives the pixels of a picture from (0,0) on, transparent parts over black.
func Opaque(m image.Image) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, m.Bounds().Dx(), m.Bounds().Dy()))
	draw.Draw(out, out.Rect, image.Black, image.Point{}, draw.Src)
	draw.Draw(out, out.Rect, m, m.Bounds().Min, draw.Over)
	return out
}

// Lossy reads a JPEG or WebP. Of a WebP it knows that its YCbCr has the limited
// range, which Go's decoder does not say.
func Lossy(t testing.TB, name string) *image.RGBA {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	m, format, err := image.Decode(f)
	require.NoError(t, err, name)
	planes, ok := m.(*image.YCbCr)
	if format != "webp" || !ok {
		return Opaque(m)
	}
	out := image.NewRGBA(image.Rect(0, 0, m.Bounds().Dx(), m.Bounds().Dy()))
	clamp := func(f float64) uint8 { return uint8(min(max(f+0.5, 0), 255)) }
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			c := planes.YCbCrAt(x, y)
			l, cb, cr := 1.164383*(float64(c.Y)-16), float64(c.Cb)-128, float64(c.Cr)-128
			out.SetRGBA(x, y, color.RGBA{R: clamp(l + 1.596027*cr), G: clamp(l - 0.391762*cb - 0.812968*cr), B: clamp(l + 2.017232*cb), A: 255})
		}
	}
	return out
}

// Difference is the mean difference of two opaque pictures of one size, per
// channel, of 255.
func Difference(a, b *image.RGBA) float64 {
	sum := 0
	for i, p := range a.Pix { // alpha is 255 in both
		d := int(p) - int(b.Pix[i])
		sum += max(d, -d)
	}
	return float64(sum) / float64(len(a.Pix)/4*3)
}
