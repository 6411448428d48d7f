package pipeline_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
)

func TestPlanGivesExactSizes(t *testing.T) {
	x, y := 90, 10
	for _, c := range []struct {
		name string
		op   pipeline.Operation
		w, h int
		want [2]int
	}{
		{"contain by width", pipeline.Resize{Width: 50, Height: 50}, 100, 40, [2]int{50, 20}},
		{"contain by height", pipeline.Resize{Width: 50, Height: 10}, 100, 40, [2]int{25, 10}},
		{"contain enlarges", pipeline.Resize{Width: 200, Height: 200}, 100, 40, [2]int{200, 80}},
		{"contain does not enlarge", pipeline.Resize{Width: 200, Height: 200, NoEnlarge: true}, 100, 40, [2]int{100, 40}},
		{"one side", pipeline.Resize{Height: 20}, 100, 40, [2]int{50, 20}},
		{"one side, not enlarged", pipeline.Resize{Width: 101, NoEnlarge: true}, 100, 40, [2]int{100, 40}},
		{"rounds half up", pipeline.Resize{Width: 3}, 6, 5, [2]int{3, 3}},
		{"never less than a pixel", pipeline.Resize{Width: 10}, 1000, 3, [2]int{10, 1}},
		{"cover", pipeline.Resize{Width: 30, Height: 30, Fit: pipeline.Cover}, 100, 40, [2]int{30, 30}},
		{"cover does not enlarge", pipeline.Resize{Width: 30, Height: 60, Fit: pipeline.Cover, NoEnlarge: true}, 100, 40, [2]int{30, 40}},
		{"pad", pipeline.Resize{Width: 300, Height: 60, Fit: pipeline.Pad, NoEnlarge: true}, 100, 40, [2]int{300, 60}},
		{"stretch", pipeline.Resize{Width: 7, Height: 60, Fit: pipeline.Stretch}, 100, 40, [2]int{7, 60}},
		{"crop is clipped", pipeline.Crop{Width: 200, Height: 20}, 100, 40, [2]int{100, 20}},
		{"crop at a place", pipeline.Crop{Width: 200, Height: 20, X: &x, Y: &y}, 100, 40, [2]int{10, 20}},
		{"quarter turn", pipeline.Rotate{Angle: -90}, 100, 40, [2]int{40, 100}},
		{"full turn", pipeline.Rotate{Angle: 360}, 100, 40, [2]int{100, 40}},
		{"eighth turn", pipeline.Rotate{Angle: 45}, 101, 101, [2]int{143, 143}},
		{"flip", pipeline.Flip{Vertical: true}, 100, 40, [2]int{100, 40}},
		{"output bomb", pipeline.Resize{Width: 800}, 1, 65537, [2]int{800, 800 * 65537}},
		{"beyond counting", pipeline.Resize{Width: 16384}, 1, math.MaxInt32, [2]int{16384, math.MaxInt32}},
	} {
		r := pipeline.Rendition{Name: "a", Operations: []pipeline.Operation{c.op}}
		plan, err := r.Plan(c.w, c.h, 1)
		require.NoError(t, err, c.name)
		got := plan.Result()
		assert.Equal(t, c.want, [2]int{got.Width, got.Height}, c.name)
	}
}

func TestPlanTurnsTheOriginalUprightFirst(t *testing.T) {
	r := pipeline.Rendition{Operations: []pipeline.Operation{pipeline.Resize{Width: 20}}}
	for orientation, want := range []int{10, 10, 10, 10, 10, 40, 40, 40, 40, 10} {
		plan, err := r.Plan(100, 50, orientation)
		require.NoError(t, err)
		assert.Equal(t, want, plan.Result().Height, "orientation %d", orientation)
	}
	r.KeepOrientation = true
	plan, err := r.Plan(100, 50, 6)
	require.NoError(t, err)
	assert.Equal(t, 10, plan.Result().Height)
}

func TestPlanRefusesACropOutside(t *testing.T) {
	x, y := 100, 0
	r := pipeline.Rendition{Operations: []pipeline.Operation{pipeline.Invert{}, pipeline.Crop{Width: 1, Height: 1, X: &x, Y: &y}}}
	_, err := r.Plan(100, 50, 1)
	var e *pipeline.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, "operations[1].x", e.Path)
	_, err = r.Plan(0, 5, 1)
	require.Error(t, err)
}

// The part that Cover scales lies inside the picture and has the result's shape
// to within a pixel, so nothing larger than picture and result is ever needed.
func TestCoverSourceLiesInThePicture(t *testing.T) {
	gravities := []pipeline.Gravity{"", pipeline.NorthWest, pipeline.South, pipeline.East}
	for w := 1; w < 40; w += 3 {
		for h := 1; h < 40; h += 4 {
			for _, to := range [][2]int{{1, 1}, {7, 30}, {30, 7}, {64, 64}, {1, 500}} {
				for i, small := range []bool{false, true, false, true} {
					o := pipeline.Resize{Width: to[0], Height: to[1], Fit: pipeline.Cover, NoEnlarge: small, Gravity: gravities[i]}
					x, y, sw, sh := o.Source(w, h)
					require.True(t, x >= 0 && y >= 0 && sw >= 1 && sh >= 1 && x+sw <= w && y+sh <= h, "%+v of %d×%d: %d,%d %d×%d", o, w, h, x, y, sw, sh)
					require.True(t, sw == w || sh == h || small, "%+v of %d×%d", o, w, h)
				}
			}
		}
	}
}

func TestGravityOffset(t *testing.T) {
	for g, want := range map[pipeline.Gravity][2]int{
		"": {35, 10}, pipeline.Center: {35, 10}, pipeline.NorthWest: {0, 0}, pipeline.North: {35, 0}, pipeline.SouthEast: {70, 20},
		pipeline.West: {0, 10}, pipeline.East: {70, 10}, pipeline.South: {35, 20}, pipeline.NorthEast: {70, 0}, pipeline.SouthWest: {0, 20},
	} {
		x, y := g.Offset(100, 50, 30, 30)
		assert.Equal(t, want, [2]int{x, y}, g)
	}
}
