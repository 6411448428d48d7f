package draw_test

import (
	"fmt"
	"image"
	"image/color"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine/draw"
)

func plain(w, h int, c color.NRGBA) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := 0; i < len(m.Pix); i += 4 {
		m.Pix[i], m.Pix[i+1], m.Pix[i+2], m.Pix[i+3] = c.R, c.G, c.B, c.A
	}
	return m
}

// inked is the box around all that is not transparent.
func inked(m *image.NRGBA) image.Rectangle {
	var box image.Rectangle
	for y := range m.Rect.Max.Y {
		for x := range m.Rect.Max.X {
			if m.NRGBAAt(x, y).A > 0 {
				box = box.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return box
}

func TestTextLiesWhereGravitySays(t *testing.T) {
	for gravity, want := range map[pipeline.Gravity]image.Rectangle{
		pipeline.NorthWest: image.Rect(0, 0, 100, 40), pipeline.SouthEast: image.Rect(300, 160, 400, 200), "": image.Rect(150, 80, 250, 120),
	} {
		m, at, err := draw.Text(pipeline.Text{Text: "Hello", Size: 24, Color: "#ff8000", Gravity: gravity, Opacity: 1}, 400, 200)
		require.NoError(t, err)
		box := inked(m).Add(at)
		require.False(t, box.Empty())
		require.True(t, box.In(want), "%s: %v in %v", gravity, box, want)
		require.Greater(t, box.Dx(), 40)
		require.Equal(t, color.NRGBA{R: 255, G: 128, A: 255}, strongest(m))
	}
}

func strongest(m *image.NRGBA) color.NRGBA {
	var best color.NRGBA
	for i := 0; i < len(m.Pix); i += 4 {
		if m.Pix[i+3] > best.A {
			best = color.NRGBA{R: m.Pix[i], G: m.Pix[i+1], B: m.Pix[i+2], A: m.Pix[i+3]}
		}
	}
	return best
}

func TestTextOfSeveralLinesIsHigherAndHalfOpaque(t *testing.T) {
	one, _, err := draw.Text(pipeline.Text{Text: "Äg", Size: 20, Color: "#000000", Opacity: 0.5}, 400, 400)
	require.NoError(t, err)
	three, _, err := draw.Text(pipeline.Text{Text: "Äg\nÄg\nÄg", Size: 20, Color: "#000000", Opacity: 0.5}, 400, 400)
	require.NoError(t, err)
	require.InDelta(t, 3, float64(three.Rect.Dy())/float64(one.Rect.Dy()), 0.3)
	require.InDelta(t, 128, int(strongest(one).A), 1)
}

// The longest text in the largest letters costs no more than the picture.
func TestTextIsClipped(t *testing.T) {
	long := pipeline.Text{Text: strings.Repeat("W", 500), Size: 1000, Color: "#000000", Opacity: 1}
	m, at, err := draw.Text(long, 50, 30)
	require.NoError(t, err)
	require.True(t, m.Rect.Add(at).In(image.Rect(0, 0, 50, 30)))
	long.X, long.Gravity = 10_000, pipeline.NorthWest
	m, _, err = draw.Text(long, 50, 30)
	require.NoError(t, err)
	require.True(t, m.Rect.Empty())
	draw.Over(plain(5, 5, color.NRGBA{}), m, image.Point{})
}

func TestCorners(t *testing.T) {
	for _, size := range []image.Point{{40, 30}, {41, 31}, {1, 1}, {2, 9}} {
		m := plain(size.X, size.Y, color.NRGBA{R: 9, A: 255})
		draw.Round(m, pipeline.RoundCorners{Percent: 50})
		for y := range size.Y {
			for x := range size.X {
				a := m.NRGBAAt(x, y).A
				require.Equal(t, a, m.NRGBAAt(size.X-1-x, y).A, "left and right")
				require.Equal(t, a, m.NRGBAAt(x, size.Y-1-y).A, "top and bottom")
			}
		}
		require.Equal(t, size.X < 3, m.NRGBAAt(0, 0).A > 100, size)
		require.Greater(t, m.NRGBAAt(size.X/2, size.Y/2).A, uint8(150))
	}
	require.InDelta(t, 8, draw.Radius(pipeline.RoundCorners{Radius: 8}, 100, 50), 0)
	require.InDelta(t, 25, draw.Radius(pipeline.RoundCorners{Radius: 8000}, 100, 50), 0)
	require.InDelta(t, 5, draw.Radius(pipeline.RoundCorners{Percent: 10}, 100, 50), 0)
}

// A circle of radius r leaves (1-π/4)·r² of each corner transparent.
func TestCornerHasTheRightArea(t *testing.T) {
	sum := 0
	corner := draw.Corner(20)
	for _, v := range corner.Pix {
		sum += int(v)
	}
	require.InDelta(t, 3.14159/4*400, float64(sum)/255, 2)
}

func TestLayerIsWhatPlacesSay(t *testing.T) {
	mark := plain(7, 5, color.NRGBA{G: 200, A: 255})
	mark.SetNRGBA(0, 0, color.NRGBA{R: 255, A: 100})
	for _, o := range []pipeline.Watermark{
		{Opacity: 1}, {Opacity: 1, Gravity: pipeline.SouthEast, X: 3, Y: 2}, {Opacity: 1, Gravity: pipeline.West, X: -4},
		{Opacity: 1, X: 100, Y: 100}, {Opacity: 1, Tile: true}, {Opacity: 1, Tile: true, X: 3, Y: 1},
	} {
		want := plain(30, 22, color.NRGBA{})
		for _, at := range draw.Places(o, 30, 22, 7, 5) {
			draw.Over(want, mark, at)
		}
		got := plain(30, 22, color.NRGBA{})
		layer, at := draw.Layer(o, mark, 30, 22)
		require.True(t, layer.Rect.Add(at).In(got.Rect) || layer.Rect.Empty())
		draw.Over(got, layer, at)
		require.Equal(t, want.Pix, got.Pix, "%+v", o)
	}
	faint, _ := draw.Layer(pipeline.Watermark{Opacity: 0.25}, mark, 30, 22)
	require.Equal(t, uint8(64), faint.NRGBAAt(3, 3).A)
}

func TestOverMixes(t *testing.T) {
	m := plain(1, 1, color.NRGBA{R: 100, A: 255})
	draw.Over(m, plain(1, 1, color.NRGBA{B: 200, A: 128}), image.Point{})
	require.Equal(t, color.NRGBA{R: 50, B: 100, A: 255}, m.NRGBAAt(0, 0))
	m = plain(1, 1, color.NRGBA{R: 100, A: 128})
	draw.Over(m, plain(1, 1, color.NRGBA{R: 100, A: 128}), image.Point{})
	require.Equal(t, color.NRGBA{R: 100, A: 192}, m.NRGBAAt(0, 0))
}

func ExampleScaled() {
	fmt.Println(draw.Scaled(pipeline.Watermark{Scale: 0.25}, 800, 64, 32))
	// Output: 200 100
}
