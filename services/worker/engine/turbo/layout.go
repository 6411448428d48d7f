//go:build vips

package turbo

import (
	"image/color"
	"math"

	"imagemill/pkg/pipeline"
)

// grid is how the samples of one component lie over a source: every sample is
// dx by dy of the source's pixels, and there are w by h of them.
type grid struct {
	dx, dy float64
	w, h   int
}

// sampling is how many pixels of a result one chroma sample covers.
type sampling struct{ sx, sy int }

// samplingOf is 4:2:0 unless a JPEG asks for more.
func samplingOf(r pipeline.Rendition) sampling {
	if r.Chroma == pipeline.Chroma444 && format(r) == pipeline.JPEG {
		return sampling{1, 1}
	}
	return sampling{2, 2}
}

// samples are the samples of a component of a result on a grid over the source
// of l; every is how many pixels of the result each of them covers.
func (l line) samples(every int, step float64, size int) (n, lo, hi int, offset, scale float64) {
	const slack = 1e-6
	lo = min(max(int(math.Floor(l.lo/step+slack)), 0), size-1)
	hi = min(max(int(math.Ceil(l.hi/step-slack)), lo+1), size)
	return (l.n + every - 1) / every, lo, hi, l.offset / step, l.scale * float64(every) / step
}

// enough is by how much the decoded picture has to be larger than a result for
// the loss in the DCT not to be seen: with 1.25, photographs are alike to SSIM
// 0.985 and better; with 1, some only to 0.976. TestShrinkKeepsQuality measures.
const enough = 1.25

// small is the area in pixels below which an original is decoded wholly: it
// costs next to nothing, and it shows what the DCT leaves out.
const small = 1 << 16

// shrinkFor is the largest of 8, 4, 2 and 1 at which all results still have the
// pixels that they need.
func shrinkFor(h head, results []geometry) int {
	if h.width*h.height < small {
		return 1
	}
	for by := 8; by > 1; by /= 2 {
		fits := true
		for _, g := range results {
			fits = fits && min(math.Abs(g.x.scale), math.Abs(g.y.scale)) >= float64(by)*enough*0.999
		}
		if fits {
			return by
		}
	}
	return 1
}

// blocks chooses the size of each component's decoded blocks. Chroma is decoded
// no finer than the finest result needs it, in either direction.
func blocks(h head, shrink int, finest sampling) []int {
	out := []int{8 / shrink}
	for c := 1; c < h.components; c++ {
		size := 1
		for size < 8 {
			g := h.grid(c, size)
			if g.dx <= float64(shrink*finest.sx) && g.dy <= float64(shrink*finest.sy) {
				break
			}
			size *= 2
		}
		out = append(out, size)
	}
	return out
}

// head is what the JPEG's own header says.
type head struct {
	width, height, components int
	across, down              [3]int // sampling factors
	progressive               bool
}

// grid of a component of which every block is decoded to size by size samples.
func (h head) grid(c, size int) grid {
	mostAcross, mostDown := 1, 1
	for i := range h.components {
		mostAcross, mostDown = max(mostAcross, h.across[i]), max(mostDown, h.down[i])
	}
	up := func(a, b int) int { return (a + b - 1) / b }
	return grid{
		dx: float64(8*mostAcross) / float64(h.across[c]*size),
		dy: float64(8*mostDown) / float64(h.down[c]*size),
		w:  up(h.width*h.across[c]*size, mostAcross*8),
		h:  up(h.height*h.down[c]*size, mostDown*8),
	}
}

// planar gives a colour as full-range YCbCr.
func planar(c pipeline.Color) [3]uint8 {
	r, g, b, _ := c.NRGBA()
	y, cb, cr := color.RGBToYCbCr(r, g, b)
	return [3]uint8{y, cb, cr}
}
