package plan

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// anyPipeline makes a valid pipeline of operations that make sense for every
// picture.
func anyPipeline(r *rand.Rand) pipeline.Pipeline {
	formats := []pipeline.Format{pipeline.JPEG, pipeline.PNG, pipeline.WebP, pipeline.AVIF, pipeline.Same}
	var p pipeline.Pipeline
	for i := range 1 + r.IntN(8) {
		x := pipeline.Rendition{
			Name: fmt.Sprint("r", i), Format: formats[r.IntN(len(formats))], KeepOrientation: r.IntN(4) == 0,
		}
		for range r.IntN(4) {
			x.Operations = append(x.Operations, anyOperation(r))
		}
		p.Renditions = append(p.Renditions, x)
	}
	return p
}

func anyOperation(r *rand.Rand) pipeline.Operation {
	w, h := 1+r.IntN(3000), 1+r.IntN(3000)
	fits := []pipeline.Fit{pipeline.Cover, pipeline.Pad, pipeline.Stretch, pipeline.Contain}
	switch r.IntN(9) {
	case 0:
		return pipeline.Crop{Width: w, Height: h}
	case 1:
		return pipeline.Flip{Vertical: true}
	case 2:
		return pipeline.Rotate{Angle: []float64{90, 180, 33}[r.IntN(3)]}
	case 3:
		return pipeline.Blur{Sigma: 2}
	case 4:
		return pipeline.Resize{Width: w, Height: h, Fit: fits[r.IntN(4)], NoEnlarge: r.IntN(2) == 0}
	case 5:
		return pipeline.Resize{Percent: 1 + r.Float64()*150}
	}
	return pipeline.Resize{Width: w}
}

func anyPicture(r *rand.Rand) engine.Picture {
	p := photograph(1+r.IntN(8000), 1+r.IntN(8000))
	p.Orientation = 1 + r.IntN(8)
	p.Format = []string{"jpeg", "jpeg", "webp", "png"}[r.IntN(4)]
	p.Interlaced = r.IntN(4) == 0
	p.Profile = []string{"", "", engine.ProfileSRGB, engine.ProfileP3}[r.IntN(4)]
	return p
}

// each plans many pipelines that differ in every run of the tests.
func each(t *testing.T, check func(t *testing.T, p pipeline.Pipeline, original engine.Picture, got Plan)) {
	t.Helper()
	for range 3000 {
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 1))
		p, original := anyPipeline(r), anyPicture(r)
		require.NoError(t, p.Validate(), "seed %d", seed)
		got, err := Make(p, original, native())
		require.NoError(t, err, "seed %d", seed)
		check(t, p, original, got)
		if t.Failed() {
			t.Fatalf("seed %d: %+v of %+v gave %+v", seed, p, original, got)
		}
	}
}

func TestEveryRenditionAppearsOnceAfterTheOneThatItContinuesFrom(t *testing.T) {
	each(t, func(t *testing.T, p pipeline.Pipeline, _ engine.Picture, got Plan) {
		t.Helper()
		done := map[int]Step{}
		for _, s := range got.Steps {
			if _, twice := done[s.Rendition]; twice || s.Rendition < 0 || s.Rendition >= len(p.Renditions) {
				t.Error("a rendition is made twice or is none")
			}
			if s.From != Original {
				from, ok := done[s.From]
				if !ok || from.Fast != s.Fast {
					t.Error("continues from what is not there")
				}
			}
			done[s.Rendition] = s
		}
		if len(done) != len(p.Renditions) {
			t.Error("a rendition is missing")
		}
	})
}

// firstSize is the size after the first resize, and the part of the picture
// before it that it shows, from the sizes alone.
func firstSize(p pipeline.Plan, r pipeline.Rendition) (in, out pipeline.Step) {
	i := FirstResize(r)
	return p[i], p[i+1]
}

func TestNothingIsDecodedSmallerThanNeeded(t *testing.T) {
	shrunkAtAll := 0
	each(t, func(t *testing.T, p pipeline.Pipeline, original engine.Picture, got Plan) {
		t.Helper()
		if got.Shrink == 1 {
			return
		}
		shrunkAtAll++
		for _, r := range p.Renditions {
			i := FirstResize(r)
			if i < 0 {
				t.Error("a rendition without a resize needs all")
				return
			}
			sizes, err := r.Plan(original.Width, original.Height, original.Orientation)
			if err != nil {
				t.Error(err)
			}
			in, out := firstSize(sizes, r)
			resize, _ := r.Operations[i].(pipeline.Resize)
			w, h := out.Width, out.Height
			if resize.Fit == pipeline.Pad {
				w, h = resize.Within(in.Width, in.Height)
			}
			if in.Width < (w-1)*got.Shrink || in.Height < (h-1)*got.Shrink {
				t.Errorf("%s has %dx%d/%d for %dx%d", r.Name, in.Width, in.Height, got.Shrink, w, h)
			}
		}
	})
	require.Positive(t, shrunkAtAll)
}

func TestTheCascadeOnlyGoesDown(t *testing.T) {
	cascaded := 0
	each(t, func(t *testing.T, p pipeline.Pipeline, original engine.Picture, got Plan) {
		t.Helper()
		for _, s := range got.Steps {
			if s.From == Original {
				continue
			}
			cascaded++
			from, to := p.Renditions[s.From], p.Renditions[s.Rendition]
			a, _ := from.Plan(original.Width, original.Height, original.Orientation)
			b, _ := to.Plan(original.Width, original.Height, original.Orientation)
			if 5*a[1].Width < 7*b[1].Width && 5*a[1].Height < 7*b[1].Height && to.Operations[0].(pipeline.Resize).Fit != pipeline.Pad {
				t.Errorf("%v is not much larger than %v", a[1], b[1])
			}
			if fit := from.Operations[0].(pipeline.Resize).Fit; fit != "" && fit != pipeline.Contain {
				t.Errorf("continues from fit %s", fit)
			}
		}
	})
	require.Positive(t, cascaded)
}

func TestTheEstimateRises(t *testing.T) {
	each(t, func(t *testing.T, p pipeline.Pipeline, original engine.Picture, got Plan) {
		t.Helper()
		if got.Memory <= base+decoded(got, original, true) {
			t.Error("less than the decoded picture")
		}
		deeper, passes := original, original
		deeper.Depth, passes.Interlaced = 16, true
		notLess := func(larger engine.Picture, can engine.Abilities, than int64) {
			more, err := Make(p, larger, can)
			require.NoError(t, err)
			if more.Memory < than {
				t.Errorf("%+v takes less: %d, not %d", larger, more.Memory, than)
			}
		}
		notLess(passes, native(), got.Memory)
		// Of 16 bits nothing is made of planes, all at once: by one way, it is more.
		slow := native()
		slow.Fast = false
		eight, err := Make(p, original, slow)
		require.NoError(t, err)
		notLess(deeper, slow, eight.Memory)
		for last := got.Memory; slow.Abreast < 4; slow.Abreast++ {
			can := native()
			can.Abreast = slow.Abreast
			notLess(original, can, last)
			beside, err := Make(p, original, can)
			require.NoError(t, err)
			last = beside.Memory
		}
	})
}

// Of results that are written side by side, all count; what is written by one at a
// time does not.
func TestTheEstimateCountsEncodersSideBySide(t *testing.T) {
	one := `{"name":"%s","format":"png","operations":[{"op":"resize","width":2000},{"op":"sepia"}]}`
	four := make([]string, 4)
	for i := range four {
		four[i] = fmt.Sprintf(one, string(rune('a'+i)))
	}
	const picture = 2000 * 1500 * (pixel + 1)
	need := func(doc string, abreast int) int64 {
		can := native()
		can.Abreast = abreast
		got, err := Make(read(t, doc), photograph(4000, 3000), can)
		require.NoError(t, err)
		return got.Memory
	}
	all := strings.Join(four, ",")
	alone := need(all, 0)
	require.Equal(t, alone, need(all, 1))
	require.Equal(t, alone+picture+2000*1500*pixel, need(all, 2), "one more is written, and one waits")
	require.Equal(t, alone+3*picture, need(all, 4))
	require.Equal(t, alone+3*picture, need(all, 64))
	kept := strings.ReplaceAll(all, `"format"`, `"metadata":"copyright","format"`)
	require.Equal(t, need(kept, 1), need(kept, 4), "with metadata, the original is read by one at a time")
}

func TestTheEstimateRisesWithTheOriginal(t *testing.T) {
	p := read(t, `{"format":"png","operations":[{"op":"resize","width":800}]}`)
	last := int64(0)
	for side := 1000; side < 20_000; side += 500 {
		original := photograph(side, side)
		original.Format = "png"
		got, err := Make(p, original, native())
		require.NoError(t, err)
		require.Greater(t, got.Memory, last)
		last = got.Memory
	}
}

func TestAnimationsCountAllFramesOnlyWhereTheyAreKept(t *testing.T) {
	gif := engine.Picture{Format: "gif", Width: 500, Height: 500, Orientation: 1, Frames: 100, Bands: 4, Depth: 8}
	still, err := Make(read(t, `{"operations":[{"op":"resize","width":100}]}`), gif, native())
	require.NoError(t, err)
	kept, err := Make(read(t, `{"animated":true,"operations":[{"op":"resize","width":100}]}`), gif, native())
	require.NoError(t, err)
	require.Greater(t, kept.Memory-base, 90*(still.Memory-base))
}
