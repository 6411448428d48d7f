package pipeline_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
)

func TestFocalPointIsFollowed(t *testing.T) {
	x, y := 50, 0
	for _, c := range []struct {
		name string
		op   pipeline.Operation
		want pipeline.Focal
	}{
		{"resize keeps it", pipeline.Resize{Width: 10}, pipeline.Focal{X: 0.75, Y: 0.5}},
		{"stretch keeps it", pipeline.Resize{Width: 10, Height: 99, Fit: pipeline.Stretch}, pipeline.Focal{X: 0.75, Y: 0.5}},
		{"pad moves it", pipeline.Resize{Width: 100, Height: 100, Fit: pipeline.Pad, Gravity: pipeline.North}, pipeline.Focal{X: 0.75, Y: 0.25}},
		{"cover cuts", pipeline.Resize{Width: 50, Height: 50, Fit: pipeline.Cover, Gravity: pipeline.East}, pipeline.Focal{X: 0.5, Y: 0.5}},
		{"cover at the point", pipeline.Resize{Width: 25, Height: 50, Fit: pipeline.Cover, Gravity: pipeline.Focus}, pipeline.Focal{X: 0.48, Y: 0.5}},
		{"cover at the dense point", pipeline.Resize{Width: 50, Height: 50, DPR: 2, Fit: pipeline.Cover, Gravity: pipeline.West}, pipeline.Focal{X: 1, Y: 0.5}},
		{"the engine's choice", pipeline.Resize{Width: 50, Height: 50, Fit: pipeline.Cover, Gravity: pipeline.Entropy}, pipeline.Focal{X: 0.75, Y: 0.5}},
		{"crop at a place", pipeline.Crop{Width: 50, Height: 25, X: &x, Y: &y}, pipeline.Focal{X: 0.5, Y: 1}},
		{"crop without it", pipeline.Crop{Width: 50, Height: 50, Gravity: pipeline.West}, pipeline.Focal{X: 1, Y: 0.5}},
		{"crop at it", pipeline.Crop{Width: 20, Height: 20, Gravity: pipeline.Focus}, pipeline.Focal{X: 0.5, Y: 0.5}},
		{"the engine's crop", pipeline.Crop{Width: 20, Height: 20, Gravity: pipeline.Attention}, pipeline.Focal{X: 0.75, Y: 0.5}},
		{"extend", pipeline.Extend{Left: 100, Bottom: 50}, pipeline.Focal{X: 0.875, Y: 0.25}},
		{"mirrored", pipeline.Flip{Horizontal: true}, pipeline.Focal{X: 0.25, Y: 0.5}},
		{"mirrored both ways", pipeline.Flip{Horizontal: true, Vertical: true}, pipeline.Focal{X: 0.25, Y: 0.5}},
		{"clockwise", pipeline.Rotate{Angle: 90}, pipeline.Focal{X: 0.5, Y: 0.75}},
		{"head over", pipeline.Rotate{Angle: 180}, pipeline.Focal{X: 0.25, Y: 0.5}},
		{"counterclockwise", pipeline.Rotate{Angle: -90}, pipeline.Focal{X: 0.5, Y: 0.25}},
		{"trim is the engine's", pipeline.Trim{}, pipeline.Focal{X: 0.75, Y: 0.5}},
		{"colours keep it", pipeline.Invert{}, pipeline.Focal{X: 0.75, Y: 0.5}},
	} {
		got := pipeline.Focal{X: 0.75, Y: 0.5}.After(c.op, 100, 50)
		assert.InDelta(t, c.want.X, got.X, 1e-9, c.name)
		assert.InDelta(t, c.want.Y, got.Y, 1e-9, c.name)
	}
}

// Whatever is done, the point stays in the picture, and what is cut at it lies
// in the picture and holds it.
func TestFocalPointStaysInThePicture(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		w, h := 1+rnd.IntN(300), 1+rnd.IntN(300)
		f := pipeline.Focal{X: rnd.Float64(), Y: rnd.Float64()}
		a, b := 1+rnd.IntN(400), 1+rnd.IntN(400)
		crop := pipeline.Crop{Width: a, Height: b, Gravity: pipeline.Focus}
		x, y, cw, ch := crop.RectangleAt(w, h, f)
		inside(t, f, w, h, x, y, cw, ch)
		cover := pipeline.Resize{Width: a, Height: b, Fit: pipeline.Cover, Gravity: pipeline.Focus, NoEnlarge: a%2 == 0}
		x, y, cw, ch = cover.SourceAt(w, h, f)
		inside(t, f, w, h, x, y, cw, ch)
		for _, op := range []pipeline.Operation{
			crop, cover, pipeline.Rotate{Angle: 360 * rnd.Float64()}, pipeline.Crop{Width: a, Height: b, X: &b, Y: &a},
			pipeline.Resize{Width: a, Height: b, Fit: pipeline.Pad, Gravity: pipeline.SouthWest}, pipeline.Extend{Top: a, Right: b},
		} {
			g := f.After(op, w, h)
			require.True(t, g.X >= 0 && g.X <= 1 && g.Y >= 0 && g.Y <= 1, "%+v after %+v of %d×%d: %+v", f, op, w, h, g)
		}
	}
}

// inside checks that a part lies in the picture and holds the point to within
// half a pixel.
func inside(t *testing.T, f pipeline.Focal, w, h, x, y, cw, ch int) {
	t.Helper()
	what := fmt.Sprintf("%+v of %d×%d: %d,%d %d×%d", f, w, h, x, y, cw, ch)
	require.True(t, x >= 0 && y >= 0 && x+cw <= w && y+ch <= h, what)
	px, py := f.X*float64(w), f.Y*float64(h)
	require.True(t, px >= float64(x)-0.5 && px <= float64(x+cw)+0.5 && py >= float64(y)-0.5 && py <= float64(y+ch)+0.5, what)
}

func TestRadiusOfCorners(t *testing.T) {
	assert.Equal(t, 12.0, pipeline.RoundCorners{Radius: 12}.Pixels(100, 50))
	assert.Equal(t, 25.0, pipeline.RoundCorners{Radius: 8192}.Pixels(100, 50))
	assert.Equal(t, 5.0, pipeline.RoundCorners{Percent: 10}.Pixels(100, 50))
	assert.Equal(t, 25.0, pipeline.RoundCorners{Percent: 50}.Pixels(100, 50))
}

func TestInsetGoesAwayFromTheEdge(t *testing.T) {
	for g, want := range map[pipeline.Gravity][2]int{
		pipeline.NorthWest: {3, 4}, pipeline.SouthEast: {67, 16}, pipeline.NorthEast: {67, 4}, pipeline.SouthWest: {3, 16},
		"": {38, 14}, pipeline.North: {38, 4}, pipeline.East: {67, 14},
	} {
		x, y := g.Inset(100, 40, 30, 20, 3, 4)
		assert.Equal(t, want, [2]int{x, y}, g)
	}
}
