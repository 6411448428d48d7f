package enginetest

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"testing"

	"github.com/stretchr/testify/require"
)

// each gives what an operation makes of the four colours of Quadrants.
func each(f func(c color.NRGBA) color.NRGBA) [4]color.NRGBA {
	return [4]color.NRGBA{f(red), f(green), f(blue), f(yellow)}
}

func luma(c color.NRGBA) float64 {
	return 0.299*float64(c.R) + 0.587*float64(c.G) + 0.114*float64(c.B)
}

func clamp(v float64) uint8 { return uint8(min(max(v+0.5, 0), 255)) }

// newOperations checks what each of the newer operations does to colours at
// known places.
func (s conformance) newOperations(t *testing.T) {
	gray := func(v uint8) color.NRGBA { return color.NRGBA{R: v, G: v, B: v, A: 255} }
	brown := func(c color.NRGBA) color.NRGBA {
		r, g, b := float64(c.R), float64(c.G), float64(c.B)
		return color.NRGBA{R: clamp(0.393*r + 0.769*g + 0.189*b), G: clamp(0.349*r + 0.686*g + 0.168*b), B: clamp(0.272*r + 0.534*g + 0.131*b), A: 255}
	}
	half := func(a, b uint8) uint8 { return uint8((int(a) + int(b)) / 2) }
	for _, c := range []struct {
		op     string
		want   [4]color.NRGBA
		within int
	}{
		{`{"op":"sepia"}`, each(brown), 2},
		{`{"op":"sepia","percent":50}`, each(func(c color.NRGBA) color.NRGBA {
			b := brown(c)
			return color.NRGBA{R: half(c.R, b.R), G: half(c.G, b.G), B: half(c.B, b.B), A: 255}
		}), 2},
		{`{"op":"tint","color":"#ff8000"}`, each(func(c color.NRGBA) color.NRGBA {
			return color.NRGBA{R: clamp(luma(c)), G: clamp(luma(c) * 128 / 255), A: 255}
		}), 3},
		{`{"op":"extractChannel","channel":"red"}`, each(func(c color.NRGBA) color.NRGBA { return gray(c.R) }), 1},
		{`{"op":"extractChannel","channel":"green"}`, each(func(c color.NRGBA) color.NRGBA { return gray(c.G) }), 1},
		{`{"op":"extractChannel","channel":"blue"}`, each(func(c color.NRGBA) color.NRGBA { return gray(c.B) }), 1},
		{`{"op":"extractChannel","channel":"alpha"}`, each(func(color.NRGBA) color.NRGBA { return gray(255) }), 0},
		{`{"op":"pixelate","size":8}`, each(func(c color.NRGBA) color.NRGBA { return c }), 1},
		{`{"op":"flatten","background":"#ffffff"}`, each(func(c color.NRGBA) color.NRGBA { return c }), 0},
	} {
		got := corners(s.Picture(t, PNG(t, Quadrants(48, 32)), "["+c.op+"]"))
		for i := range got {
			near(t, c.want[i], got[i], c.within, c.op, "corner", i)
		}
	}
	s.shapes(t)
}

// shapes checks the operations that change where pixels are, or whether they
// are seen.
func (s conformance) shapes(t *testing.T) {
	original := PNG(t, Quadrants(48, 32))
	coarse := s.Picture(t, original, `[{"op":"pixelate","size":100}]`)
	require.Equal(t, image.Pt(48, 32), coarse.Bounds().Size())
	near(t, mean(Quadrants(48, 32)), at(coarse, 0, 0), 2, "one square has the mean colour")
	near(t, at(coarse, 0, 0), at(coarse, 47, 31), 0)

	bordered := s.Picture(t, original, `[{"op":"extend","top":3,"right":5,"bottom":7,"left":9,"background":"#102030"}]`)
	require.Equal(t, image.Pt(62, 42), bordered.Bounds().Size())
	near(t, color.NRGBA{R: 16, G: 32, B: 48, A: 255}, at(bordered, 8, 20), 0)
	near(t, red, at(bordered, 9, 3), 0)
	near(t, yellow, at(bordered, 56, 34), 0)
	clear := s.Picture(t, original, `[{"op":"extend","top":3}]`)
	require.Zero(t, at(clear, 5, 1).A)

	// Extended and trimmed is what it was.
	trimmed := s.Picture(t, original, `[{"op":"extend","top":3,"right":5,"bottom":7,"left":9,"background":"#102030"},{"op":"trim"}]`)
	require.Equal(t, image.Pt(48, 32), trimmed.Bounds().Size())
	near(t, red, at(trimmed, 0, 0), 0)
	named := s.Picture(t, original, `[{"op":"extend","top":3,"background":"#ffffff"},{"op":"trim","background":"#fafafa"},{"op":"resize","percent":50}]`)
	require.Equal(t, image.Pt(24, 16), named.Bounds().Size())
	flat := s.Picture(t, PNG(t, image.NewGray(image.Rect(0, 0, 9, 7))), `[{"op":"trim"}]`)
	require.Equal(t, image.Pt(9, 7), flat.Bounds().Size(), "all border stays")

	round := s.Picture(t, original, `[{"op":"roundCorners","radius":10}]`)
	for _, p := range []image.Point{{0, 0}, {47, 0}, {0, 31}, {47, 31}} {
		require.Zero(t, at(round, p.X, p.Y).A, p)
	}
	near(t, red, at(round, 10, 1), 0)
	near(t, red, at(round, 4, 4), 0, "the circle passes outside of here")
	oval := s.Picture(t, original, `[{"op":"roundCorners","percent":50},{"op":"flatten","background":"#0000ff"}]`)
	near(t, color.NRGBA{B: 255, A: 255}, at(oval, 1, 1), 0, "flatten fills the corners")
}

// newSizes checks sizes that depend on the original's.
func (s conformance) newSizes(t *testing.T) {
	original := PNG(t, Quadrants(400, 300))
	for document, want := range map[string]image.Point{
		`{"op":"resize","percent":25}`:                                              {100, 75},
		`{"op":"resize","percent":150}`:                                             {600, 450},
		`{"op":"resize","megapixels":0.03}`:                                         {200, 150},
		`{"op":"resize","width":50,"dpr":2}`:                                        {100, 75},
		`{"op":"resize","width":40,"height":40,"fit":"cover","dpr":1.5}`:            {60, 60},
		`{"op":"resize","width":300,"height":300,"fit":"cover","noEnlarge":true}`:   {300, 300},
		`{"op":"resize","width":999,"height":1,"fit":"stretch","noEnlarge":true}`:   {400, 1},
		`{"op":"resize","width":80,"height":80,"fit":"pad","background":"#ffffff"}`: {80, 80},
	} {
		require.Equal(t, want, s.Picture(t, original, "["+document+"]").Bounds().Size(), document)
	}
}

// smartCrops puts something to see into an empty picture, far from the middle.
func (s conformance) smartCrops(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 300, 100))
	draw.Draw(m, m.Rect, image.NewUniform(color.NRGBA{R: 128, G: 128, B: 128, A: 255}), image.Point{}, draw.Src)
	for y := 20; y < 80; y++ {
		for x := 220; x < 280; x++ {
			m.SetNRGBA(x, y, [2]color.NRGBA{red, yellow}[(x/4+y/4)%2])
		}
	}
	for _, gravity := range []string{"attention", "entropy"} {
		for _, op := range []string{
			`{"op":"crop","width":100,"height":100,"gravity":"` + gravity + `"}`,
			`{"op":"resize","width":50,"height":50,"fit":"cover","gravity":"` + gravity + `"}`,
		} {
			got := s.Picture(t, PNG(t, m), "["+op+"]")
			seen := mean(got)
			require.Greater(t, int(seen.R)-int(seen.B), 30, "%s does not show the colours", op)
		}
	}
	for _, c := range []struct {
		x, y float64
		want color.NRGBA
	}{{0, 0, red}, {1, 0, green}, {0.1, 0.9, blue}, {0.9, 0.9, yellow}} {
		for _, op := range []string{
			`{"op":"crop","width":16,"height":16,"gravity":"focus"}`,
			`{"op":"resize","width":96},{"op":"crop","width":16,"height":16,"gravity":"focus"}`,
		} {
			document := fmt.Sprintf(`{"renditions":[{"format":"png","focalPoint":{"x":%g,"y":%g},"operations":[%s]}]}`, c.x, c.y, op)
			near(t, c.want, mean(s.Picture(t, PNG(t, Quadrants(64, 64)), document)), 2, document)
		}
	}
}

// cascade checks that renditions which can be made of one another have the
// sizes and colours that they would have alone.
func (s conformance) cascade(t *testing.T) {
	report, err := s.Render(t, JPEG(t, Quadrants(801, 602), 6), `{"renditions":[
		{"name":"a","format":"png","operations":[{"op":"resize","width":33}]},
		{"name":"b","operations":[{"op":"resize","width":500}]},
		{"name":"c","operations":[{"op":"resize","width":60,"height":60,"fit":"cover","gravity":"northeast"}]},
		{"name":"d","operations":[{"op":"resize","width":200},{"op":"invert"}]},
		{"name":"e","format":"png","operations":[{"op":"resize","percent":10},{"op":"flip","horizontal":true}]}]}`)
	require.NoError(t, err)
	sizes := []image.Point{{33, 44}, {500, 665}, {60, 60}, {200, 266}, {60, 80}}
	first := []color.NRGBA{blue, blue, {}, {R: 255 - blue.R, G: 255 - blue.G, B: 255 - blue.B, A: 255}, red}
	for i, r := range report.Renditions {
		m := Open(t, r)
		require.InDelta(t, sizes[i].X, m.Bounds().Dx(), 0, r.Name)
		require.InDelta(t, sizes[i].Y, m.Bounds().Dy(), 1, r.Name)
		if first[i].A != 0 {
			near(t, first[i], corners(m)[0], 12, r.Name)
		}
	}
}
