package plan

import (
	"image"
	"path/filepath"
	"testing"

	lib "github.com/disintegration/imaging"
	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine/enginetest"
)

// likeness is the structural similarity (SSIM) of two pictures of one size, in
// grey, over windows of 8×8 pixels, half overlapping.
func likeness(a, b *image.NRGBA) float64 {
	const side, c1, c2 = 8, 6.5025, 58.5225
	var sum, windows float64
	for y := 0; y+side <= a.Rect.Dy(); y += side / 2 {
		for x := 0; x+side <= a.Rect.Dx(); x += side / 2 {
			var ma, mb, aa, bb, ab float64
			for dy := range side {
				for dx := range side {
					p, q := float64(a.Pix[a.PixOffset(x+dx, y+dy)]), float64(b.Pix[b.PixOffset(x+dx, y+dy)])
					ma, mb, aa, bb, ab = ma+p, mb+q, aa+p*p, bb+q*q, ab+p*q
				}
			}
			const n = side * side
			ma, mb = ma/n, mb/n
			va, vb, cov := aa/n-ma*ma, bb/n-mb*mb, ab/n-ma*mb
			sum += (2*ma*mb + c1) * (2*cov + c2) / ((ma*ma + mb*mb + c1) * (va + vb + c2))
			windows++
		}
	}
	return sum / windows
}

// A rendition that continues from one at least cascade times as large looks like
// one made from the original, also at the end of a chain of such steps.
func TestCascadeKeepsQuality(t *testing.T) {
	photos := enginetest.Shared(t, "photos")
	for _, name := range []string{"nuthatch-2mp.jpg", "dragonfly.jpg", "kodak-8.png"} {
		picture, err := lib.Open(filepath.Join(photos, name))
		require.NoError(t, err)
		grey := lib.Grayscale(picture)
		for _, ratio := range []float64{cascade, cascadeCut} {
			w, chain := grey.Rect.Dx(), grey
			worst := 1.0
			for step := 0; float64(w)/ratio >= 100; step++ {
				w = int(float64(w) / ratio)
				chain = lib.Resize(chain, w, 0, lib.Lanczos)
				if step > 0 {
					direct := lib.Resize(grey, w, chain.Rect.Dy(), lib.Lanczos)
					worst = min(worst, likeness(direct, chain))
				}
			}
			t.Logf("%s: a chain of steps by %.1f is at worst %.4f like the direct way", name, ratio, worst)
			require.GreaterOrEqual(t, worst, 0.995)
		}
	}
}
