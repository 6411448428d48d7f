package enginetest

import (
	"image"
	"image/color"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/ssim"
)

// Scene is a picture with gradients and edges, as photographs have them.
func Scene(w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			u, v := float64(x)/float64(w), float64(y)/float64(h)
			c := color.NRGBA{R: uint8(40 + 180*u), G: uint8(60 + 150*v), B: uint8(200 - 120*u*v), A: 255}
			if math.Hypot(u-0.6, (v-0.4)*float64(h)/float64(w)) < 0.15 {
				c = color.NRGBA{R: 230, G: 180, B: 60, A: 255}
			}
			m.SetNRGBA(x, y, c)
		}
	}
	return m
}

// operationsInJSON is one of every operation. Those whose place or shape is the
// engine's choice stand in effects.go.
func operationsInJSON() []string {
	return []string{
		`{"op":"resize","width":60}`, `{"op":"resize","width":50,"height":50,"fit":"cover"}`,
		`{"op":"resize","width":90,"height":90,"fit":"pad","background":"#203040"}`, `{"op":"resize","width":70,"height":30,"fit":"stretch"}`,
		`{"op":"crop","width":50,"height":40,"gravity":"east"}`, `{"op":"rotate","angle":90}`, `{"op":"rotate","angle":20,"background":"#ffffff"}`,
		`{"op":"flip","horizontal":true}`, `{"op":"blur","sigma":2}`, `{"op":"sharpen","sigma":1}`, `{"op":"grayscale"}`,
		`{"op":"brightness","percent":20}`, `{"op":"contrast","percent":20}`, `{"op":"gamma","value":1.5}`, `{"op":"saturation","percent":30}`,
		`{"op":"hue","degrees":40}`, `{"op":"invert"}`, `{"op":"swapRedBlue"}`, `{"op":"trim","threshold":3}`,
		`{"op":"extend","left":9,"bottom":5,"background":"#ff0000"}`, `{"op":"pixelate","size":8}`, `{"op":"sepia"}`,
		`{"op":"tint","color":"#80c0ff"}`, `{"op":"extractChannel","channel":"green"}`, `{"op":"roundCorners","percent":20}`,
		`{"op":"flatten","background":"#123456"}`, `{"op":"text","text":"Mill","size":20,"color":"#ffffff"}`,
	}
}

// readable are the formats that results can be read back from here.
func readable(f pipeline.Format) bool {
	return f == pipeline.JPEG || f == pipeline.PNG || f == pipeline.GIF || f == pipeline.TIFF
}

// everyOperationInEveryFormat holds all formats to what comes out as PNG, over
// the white on which transparent parts are seen.
func (s conformance) everyOperationInEveryFormat(t *testing.T) {
	original := PNG(t, Scene(120, 80))
	for _, op := range operationsInJSON() {
		golden := s.Picture(t, original, "["+op+"]")
		for _, f := range s.can.Out {
			document := `{"renditions":[{"format":"` + string(f) + `","quality":95,"operations":[` + op + `]}]}`
			report, err := s.Render(t, original, document)
			require.NoError(t, err, document)
			r := report.Renditions[0]
			require.Equal(t, f, r.Format, document)
			require.Equal(t, golden.Bounds().Size(), image.Pt(r.Width, r.Height), document)
			if !readable(f) && !s.can.Reads(string(f)) {
				stat, err := os.Stat(r.File)
				require.NoError(t, err)
				require.Equal(t, stat.Size(), r.Bytes)
				continue
			}
			var got image.Image
			if readable(f) {
				got = Open(t, r)
			} else { // the engine's own eyes
				got = s.pictureOf(t, r.File, "[]")
			}
			like, err := ssim.Images(golden, got)
			require.NoError(t, err)
			least := 0.97
			if f == pipeline.GIF {
				least = 0.85 // dithered
			}
			require.Greater(t, like, least, document)
		}
	}
}

// Agree holds two engines to each other on photographs and on pictures made by
// code: the same sizes, and a structural similarity of at least 0.97. Formats
// are PNG, so that only pixels count.
func Agree(t *testing.T, a, b engine.Engine) {
	sources := map[string][]byte{"scene": PNG(t, Scene(240, 160)), "turned": JPEG(t, Scene(240, 160), 6), "four": PNG(t, Quadrants(97, 61))}
	for _, name := range []string{"kodak-3.png", "kodak-23.png", "nuthatch-2mp.jpg"} {
		photo, err := os.ReadFile(Shared(t, "photos", name))
		require.NoError(t, err)
		sources[name] = photo
	}
	for name, original := range sources {
		for _, op := range operationsInJSON() {
			p, q := Suite{a}.Picture(t, original, "["+op+"]"), Suite{b}.Picture(t, original, "["+op+"]")
			require.Equal(t, p.Bounds().Size(), q.Bounds().Size(), "%s: %s", name, op)
			like, err := ssim.Images(p, q)
			require.NoError(t, err)
			require.Greater(t, like, 0.97, "%s: %s", name, op)
			near(t, mean(p), mean(q), 3, name, op)
		}
	}
}
