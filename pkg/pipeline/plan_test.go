package pipeline_test

import (
	"math"
	"math/rand/v2"
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
		{"percent", pipeline.Resize{Percent: 12.5}, 100, 40, [2]int{13, 5}},
		{"percent of a tall one", pipeline.Resize{Percent: 50}, 7, 1001, [2]int{4, 501}},
		{"percent, not enlarged", pipeline.Resize{Percent: 200, NoEnlarge: true}, 100, 40, [2]int{100, 40}},
		{"percent of a pixel", pipeline.Resize{Percent: 0.1}, 1, 1, [2]int{1, 1}},
		{"percent beyond counting", pipeline.Resize{Percent: 1000}, math.MaxInt32, math.MaxInt32, [2]int{math.MaxInt32, math.MaxInt32}},
		{"megapixels", pipeline.Resize{Megapixels: 3}, 4000, 3000, [2]int{2000, 1500}},
		{"megapixels of what it is", pipeline.Resize{Megapixels: 12}, 4000, 3000, [2]int{4000, 3000}},
		{"megapixels enlarge", pipeline.Resize{Megapixels: 0.04}, 100, 100, [2]int{200, 200}},
		{"megapixels, not enlarged", pipeline.Resize{Megapixels: 1, NoEnlarge: true}, 100, 40, [2]int{100, 40}},
		{"megapixels of a thread", pipeline.Resize{Megapixels: 0.001}, 1, 1_000_000, [2]int{1, 1000}},
		{"dense", pipeline.Resize{Width: 50, DPR: 1.5}, 100, 40, [2]int{75, 30}},
		{"dense and covered", pipeline.Resize{Width: 33, Height: 11, DPR: 1.5, Fit: pipeline.Cover}, 100, 40, [2]int{50, 17}},
		{"dense and padded", pipeline.Resize{Width: 10, Height: 10, DPR: 8, Fit: pipeline.Pad}, 100, 40, [2]int{80, 80}},
		{"dense, not enlarged", pipeline.Resize{Width: 60, DPR: 2, NoEnlarge: true}, 100, 40, [2]int{100, 40}},
		{"extend", pipeline.Extend{Top: 1, Right: 2, Bottom: 4, Left: 8}, 100, 40, [2]int{110, 45}},
		{"trim", pipeline.Trim{}, 100, 40, [2]int{100, 40}},
		{"watermark", pipeline.Watermark{}, 100, 40, [2]int{100, 40}},
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

// After a trim the sizes are those without it; from the real size they are exact.
func TestPlanAfterATrim(t *testing.T) {
	x, y := 60, 0
	r := pipeline.Rendition{Operations: []pipeline.Operation{
		pipeline.Rotate{Angle: 90}, pipeline.Trim{}, pipeline.Resize{Percent: 50}, pipeline.Crop{Width: 9, Height: 9, X: &x, Y: &y}, pipeline.Extend{Top: 1},
	}}
	plan, err := r.Plan(200, 300, 1)
	require.NoError(t, err)
	assert.Equal(t, pipeline.Plan{
		{Path: "autoOrient", Width: 200, Height: 300}, {Path: "operations[0]", Width: 300, Height: 200},
		{Path: "operations[1]", Width: 300, Height: 200, AtMost: true}, {Path: "operations[2]", Width: 150, Height: 100, AtMost: true},
		{Path: "operations[3]", Width: 9, Height: 9, AtMost: true}, {Path: "operations[4]", Width: 9, Height: 10, AtMost: true},
	}, plan)

	plan, err = r.PlanFrom(2, 130, 50)
	require.NoError(t, err)
	assert.Equal(t, pipeline.Plan{
		{Path: "operations[1]", Width: 130, Height: 50}, {Path: "operations[2]", Width: 65, Height: 25},
		{Path: "operations[3]", Width: 5, Height: 9}, {Path: "operations[4]", Width: 5, Height: 10},
	}, plan)

	_, err = r.PlanFrom(2, 100, 50)
	var e *pipeline.Error
	require.ErrorAs(t, err, &e, "what is left is too narrow for the crop")
	assert.Equal(t, "operations[3].x", e.Path)
	plan, err = r.Plan(200, 100, 1)
	require.NoError(t, err, "whether the crop lies outside is known after the trim")
	assert.Equal(t, 101, plan.Result().Height)

	for _, step := range []int{-1, 6} {
		_, err = r.PlanFrom(step, 1, 1)
		require.ErrorContains(t, err, "no step")
	}
	plan, err = r.PlanFrom(5, 3, 4)
	require.NoError(t, err)
	assert.Equal(t, pipeline.Step{Path: "operations[4]", Width: 3, Height: 4}, plan.Result())
}

// For any picture: percent and megapixels keep the shape as well as whole
// pixels can, megapixels are never exceeded, and a resolved resize is the same.
func TestRelativeSizesKeepShapeAndBounds(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 50_000 {
		w, h := 1+rnd.IntN(20_000), 1+rnd.IntN(20_000)
		mega := pipeline.Resize{Megapixels: 0.001 + rnd.Float64()*math.Pow(10, float64(rnd.IntN(5)-2))}
		percent := pipeline.Resize{Percent: 0.1 + rnd.Float64()*math.Pow(10, float64(rnd.IntN(4)))}
		for _, o := range []pipeline.Resize{mega, percent} {
			o.NoEnlarge = rnd.IntN(2) == 0
			gotW, gotH := sizeOf(t, o, w, h)
			sameW, sameH := sizeOf(t, o.Resolve(w, h), w, h)
			require.Equal(t, [2]int{gotW, gotH}, [2]int{sameW, sameH}, "%+v of %d×%d", o, w, h)
			// The side that follows is off by half a pixel, and is never none.
			off := math.Abs(float64(gotW)*float64(h) - float64(gotH)*float64(w))
			require.True(t, off <= 0.51*float64(max(w, h)) || min(gotW, gotH) == 1, "%+v of %d×%d: %d×%d", o, w, h, gotW, gotH)
			if o.NoEnlarge {
				require.True(t, gotW <= w && gotH <= h)
			}
			if o.Megapixels != 0 {
				require.LessOrEqual(t, float64(gotW)*float64(gotH), o.Megapixels*1e6+1e-3, "%+v of %d×%d", o, w, h)
			}
		}
	}
}

func sizeOf(t *testing.T, o pipeline.Operation, w, h int) (int, int) {
	t.Helper()
	plan, err := pipeline.Rendition{Operations: []pipeline.Operation{o}}.Plan(w, h, 1)
	require.NoError(t, err)
	return plan.Result().Width, plan.Result().Height
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
