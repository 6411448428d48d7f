//go:build vips

package native_test

import (
	"image"
	"image/color"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/imaging"
)

// Where a smart cut lies is each engine's choice. Both have to show the one
// thing that there is to see, wherever it is.
func TestSmartCropsShowWhatThereIs(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		m := image.NewNRGBA(image.Rect(0, 0, 320, 200))
		for i := range m.Pix {
			m.Pix[i] = [4]byte{120, 125, 130, 255}[i%4]
		}
		at := image.Pt(random.IntN(260), random.IntN(140))
		for y := range 60 {
			for x := range 60 {
				if (x/5+y/5)%2 == 0 {
					m.SetNRGBA(at.X+x, at.Y+y, color.NRGBA{R: 230, G: 40, B: 30, A: 255})
				}
			}
		}
		for _, e := range []engine.Engine{imaging.New(), newEngine(t)} {
			for _, gravity := range []string{"attention", "entropy"} {
				got := enginetest.Suite{Engine: e}.Picture(t, enginetest.PNG(t, m), `[{"op":"crop","width":120,"height":120,"gravity":"`+gravity+`"}]`)
				require.Equal(t, image.Pt(120, 120), got.Bounds().Size())
				seen := 0
				for y := range 120 {
					for x := range 120 {
						if r, g, _, _ := got.At(x, y).RGBA(); r>>8 > 200 && g>>8 < 80 {
							seen++
						}
					}
				}
				require.Greater(t, seen, 1800/2, "%T %s: of the thing at %v", e, gravity, at)
			}
		}
	}
}
