package enginetest

import (
	"fmt"
	"image"
	"image/color"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// sizesFollowThePlan runs random chains of operations over random pictures and
// holds every result to what the pipeline planned. The seed is fixed.
func (s Suite) sizesFollowThePlan(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 150 {
		w, h := 1+random.IntN(70), 1+random.IntN(70)
		orientation := random.IntN(9)
		r := pipeline.Rendition{Name: "a", Format: pipeline.PNG, KeepOrientation: random.IntN(4) == 0}
		for range 1 + random.IntN(4) {
			r.Operations = append(r.Operations, randomSizing(random))
		}
		document, err := pipeline.Pipeline{Renditions: []pipeline.Rendition{r}}.MarshalJSON()
		require.NoError(t, err)
		plan, planned := r.Plan(w, h, orientation)
		report, err := s.Render(t, JPEG(t, Quadrants(w, h), orientation), string(document))
		if planned != nil {
			require.Truef(t, engine.Final(err), "%s: %v, %v", document, err, planned)
			continue
		}
		require.NoError(t, err, "%d×%d (%d) %s", w, h, orientation, document)
		got := Open(t, report.Renditions[0]).Bounds().Size()
		require.Equal(t, image.Pt(plan.Result().Width, plan.Result().Height), got, "%d×%d (%d) %s", w, h, orientation, document)
	}
}

// randomSizing makes an operation that changes sizes.
func randomSizing(random *rand.Rand) pipeline.Operation {
	w, h := 1+random.IntN(90), 1+random.IntN(90)
	fits := []pipeline.Fit{pipeline.Contain, pipeline.Cover, pipeline.Pad, pipeline.Stretch}
	switch random.IntN(6) {
	case 0:
		x, y := random.IntN(40), random.IntN(40)
		return pipeline.Crop{Width: w, Height: h, X: &x, Y: &y}
	case 1:
		return pipeline.Crop{Width: w, Height: h, Gravity: pipeline.SouthEast}
	case 2:
		return pipeline.Rotate{Angle: float64(random.IntN(721)-360) / 2}
	case 3:
		return pipeline.Rotate{Angle: float64(90 * (random.IntN(9) - 4))}
	case 4:
		return pipeline.Resize{Height: h, NoEnlarge: random.IntN(2) == 0}
	}
	return pipeline.Resize{Width: w, Height: h, Fit: fits[random.IntN(4)], NoEnlarge: random.IntN(2) == 0}
}

// operations checks what each operation does to colours at known places.
func (s Suite) operations(t *testing.T) {
	grey := func(c color.NRGBA) color.NRGBA {
		y := uint8(0.299*float64(c.R) + 0.587*float64(c.G) + 0.114*float64(c.B) + 0.5)
		return color.NRGBA{R: y, G: y, B: y, A: 255}
	}
	each := func(f func(c color.NRGBA) color.NRGBA) [4]color.NRGBA {
		return [4]color.NRGBA{f(red), f(green), f(blue), f(yellow)}
	}
	swap := func(c color.NRGBA) color.NRGBA { return color.NRGBA{R: c.B, G: c.G, B: c.R, A: 255} }
	turn := func(c color.NRGBA) color.NRGBA { return color.NRGBA{R: c.B, G: c.R, B: c.G, A: 255} }
	negative := func(c color.NRGBA) color.NRGBA { return color.NRGBA{R: 255 - c.R, G: 255 - c.G, B: 255 - c.B, A: 255} }
	same := func(c color.NRGBA) color.NRGBA { return c }
	all := func(v uint8) [4]color.NRGBA {
		return each(func(color.NRGBA) color.NRGBA { return color.NRGBA{R: v, G: v, B: v, A: 255} })
	}
	for _, c := range []struct {
		op     string
		want   [4]color.NRGBA
		within int
	}{
		{`{"op":"swapRedBlue"}`, each(swap), 0},
		{`{"op":"invert"}`, each(negative), 0},
		{`{"op":"grayscale"}`, each(grey), 2},
		{`{"op":"saturation","percent":-100}`, each(func(c color.NRGBA) color.NRGBA {
			l := uint8((int(max(c.R, c.G, c.B)) + int(min(c.R, c.G, c.B))) / 2)
			return color.NRGBA{R: l, G: l, B: l, A: 255}
		}), 2},
		{`{"op":"hue","degrees":120}`, each(turn), 1},
		{`{"op":"hue","degrees":-240}`, each(turn), 1},
		{`{"op":"hue","degrees":360}`, each(same), 1},
		{`{"op":"brightness","percent":100}`, all(255), 0},
		{`{"op":"brightness","percent":-100}`, all(0), 0},
		{`{"op":"contrast","percent":-100}`, all(127), 1},
		{`{"op":"gamma","value":1}`, each(same), 0},
		{`{"op":"blur","sigma":1}`, each(same), 1},
		{`{"op":"sharpen","sigma":1}`, each(same), 1},
		{`{"op":"flip","horizontal":true}`, [4]color.NRGBA{green, red, yellow, blue}, 0},
		{`{"op":"flip","vertical":true}`, [4]color.NRGBA{blue, yellow, red, green}, 0},
		{`{"op":"flip","horizontal":true,"vertical":true}`, [4]color.NRGBA{yellow, blue, green, red}, 0},
		{`{"op":"rotate","angle":90}`, [4]color.NRGBA{blue, red, yellow, green}, 0},
		{`{"op":"rotate","angle":-90}`, [4]color.NRGBA{green, yellow, red, blue}, 0},
		{`{"op":"rotate","angle":180}`, [4]color.NRGBA{yellow, blue, green, red}, 0},
		{`{"op":"rotate","angle":0}`, each(same), 0},
		{`{"op":"crop","width":8,"height":8,"gravity":"northeast"}`, [4]color.NRGBA{green, green, green, green}, 0},
		{`{"op":"crop","width":8,"height":8,"x":0,"y":24}`, [4]color.NRGBA{blue, blue, blue, blue}, 0},
	} {
		got := corners(s.Picture(t, PNG(t, Quadrants(48, 32)), "["+c.op+"]"))
		for i := range got {
			near(t, c.want[i], got[i], c.within, c.op, "corner", i)
		}
	}
	lighter := s.Picture(t, PNG(t, Quadrants(48, 32)), `[{"op":"gamma","value":2}]`)
	require.Greater(t, mean(lighter).G, mean(Quadrants(48, 32)).G, "gamma above 1 lightens")
	soft := s.Picture(t, PNG(t, Quadrants(48, 32)), `[{"op":"blur","sigma":3}]`)
	require.NotEqual(t, red, at(soft, 23, 8), "blur mixes colours at an edge")
	tilted := s.Picture(t, PNG(t, Quadrants(48, 32)), `[{"op":"rotate","angle":45,"background":"#102030"}]`)
	near(t, color.NRGBA{R: 16, G: 32, B: 48, A: 255}, at(tilted, 0, 0), 0, "the corner of a rotation")
}

// fits checks what is kept and what is filled up.
func (s Suite) fits(t *testing.T) {
	black := color.NRGBA{A: 255}
	for _, c := range []struct {
		op   string
		want string
		tl   color.NRGBA
	}{
		{`"width":24,"height":24`, "24×16", red},
		{`"width":200,"height":200,"noEnlarge":true`, "48×32", red},
		{`"width":96`, "96×64", red},
		{`"width":16,"height":16,"fit":"cover"`, "16×16", red},
		{`"width":16,"height":32,"fit":"cover","gravity":"east"`, "16×32", green},
		{`"width":48,"height":48,"fit":"pad","background":"#000000"`, "48×48", black},
		{`"width":48,"height":48,"fit":"pad","background":"#000000","gravity":"north"`, "48×48", red},
		{`"width":10,"height":30,"fit":"stretch"`, "10×30", red},
	} {
		m := s.Picture(t, PNG(t, Quadrants(48, 32)), `[{"op":"resize",`+c.op+`}]`)
		require.Equal(t, c.want, fmt.Sprintf("%d×%d", m.Bounds().Dx(), m.Bounds().Dy()), c.op)
		near(t, c.tl, at(m, 0, 0), 3, c.op)
	}
	// A thin tall picture made wide and flat must not become a giant on the way.
	tall := image.NewGray(image.Rect(0, 0, 1, 60_000))
	m := s.Picture(t, PNG(t, tall), `[{"op":"resize","width":8000,"height":4,"fit":"stretch"}]`)
	require.Equal(t, image.Pt(8000, 4), m.Bounds().Size())
}

// manyRenditions makes several results of one original and checks that none
// has changed what another started from.
func (s Suite) manyRenditions(t *testing.T) {
	report, err := s.Render(t, JPEG(t, Quadrants(48, 32), 6), `{"renditions":[
		{"name":"swapped","format":"png","operations":[{"op":"swapRedBlue"}]},
		{"name":"plain","format":"png"},
		{"name":"stored","format":"png","autoOrient":false},
		{"name":"small","operations":[{"op":"resize","width":8},{"op":"invert"}],"quality":50}]}`)
	require.NoError(t, err)
	var names []string
	for _, r := range report.Renditions {
		names = append(names, r.Name)
	}
	require.Equal(t, "swapped plain stored small", strings.Join(names, " "))
	o := report.Original
	require.Equal(t, engine.Picture{Format: "jpeg", Width: 48, Height: 32, Orientation: 6, Frames: 1},
		engine.Picture{Format: o.Format, Width: o.Width, Height: o.Height, Orientation: o.Orientation, Frames: o.Frames})
	require.NotEmpty(t, report.Engine)
	near(t, blue, corners(Open(t, report.Renditions[1]))[0], 12, "plain")
	near(t, color.NRGBA{R: blue.B, G: blue.G, B: blue.R, A: 255}, corners(Open(t, report.Renditions[0]))[0], 12, "swapped")
	near(t, red, corners(Open(t, report.Renditions[2]))[0], 12, "stored")
	require.Equal(t, image.Pt(8, 12), Open(t, report.Renditions[3]).Bounds().Size())
}
