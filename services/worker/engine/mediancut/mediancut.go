// Package mediancut brings pictures to few colours: those that they have, where
// these are few enough, else the ones that Heckbert's median cut ("Color image
// quantization for frame buffer display", 1982) chooses, with the error of each
// pixel spread by Floyd and Steinberg (1976). All engines use it for palettes
// whose size libraries do not keep to.
package mediancut

import (
	"image"
	"image/color"

	lib "github.com/disintegration/imaging"
)

// Index brings a picture to at most so many colours, 2 to 256. A picture that
// has no more is kept exactly; any other gets a palette of its own and is
// dithered. Pixels that are less than half opaque become the one transparent
// colour, the others opaque. The result begins at (0,0).
func Index(m image.Image, colors int) *image.Paletted {
	n := lib.Clone(m)
	transparent := false
	for p := n.Pix; len(p) >= 4; p = p[4:] {
		if p[3] < 128 {
			p[0], p[1], p[2], p[3] = 0, 0, 0, 0
			transparent = true
			continue
		}
		p[3] = 255
	}
	if p := exactly(n, colors); p != nil {
		return p
	}
	return dithered(n, colors, transparent)
}

// exactly indexes a picture by its own colours; nil when there are too many.
func exactly(n *image.NRGBA, colors int) *image.Paletted {
	index := make(map[[4]uint8]uint8, colors)
	p := image.NewPaletted(n.Rect, nil)
	for i := range p.Pix {
		c := [4]uint8(n.Pix[4*i : 4*i+4])
		at, ok := index[c]
		if !ok {
			if len(index) == colors {
				return nil
			}
			at = uint8(len(index)) //nolint:gosec // a palette has at most 256 colours
			index[c] = at
			p.Palette = append(p.Palette, color.NRGBA{R: c[0], G: c[1], B: c[2], A: c[3]})
		}
		p.Pix[i] = at
	}
	return p
}

// dithered gives a picture a palette of its own and spreads the error of each
// pixel over the neighbours (Floyd and Steinberg). The transparent colour, the
// last one, takes no part in that.
func dithered(n *image.NRGBA, colors int, transparent bool) *image.Paletted {
	if transparent {
		colors--
	}
	chosen := choose(n, colors)
	find := newNearest(chosen)
	p := image.NewPaletted(n.Rect, nil)
	for _, c := range chosen {
		p.Palette = append(p.Palette, color.NRGBA{R: c[0], G: c[1], B: c[2], A: 255})
	}
	if transparent {
		p.Palette = append(p.Palette, color.NRGBA{})
	}
	w := n.Rect.Dx()
	now, next := make([][3]int, w+2), make([][3]int, w+2) // errors in sixteenths
	for y := range n.Rect.Dy() {
		clear(next)
		for x := range w {
			px := n.Pix[y*n.Stride+4*x:][:4]
			if px[3] == 0 {
				p.Pix[y*p.Stride+x] = uint8(len(chosen)) //nolint:gosec // at most 255 of them when there is transparency
				continue
			}
			var want [3]uint8
			for c := range 3 {
				want[c] = uint8(min(max(int(px[c])+(now[x+1][c]+8)>>4, 0), 255))
			}
			at := find.index(want)
			p.Pix[y*p.Stride+x] = at
			for c := range 3 {
				off := int(want[c]) - int(chosen[at][c])
				now[x+2][c] += 7 * off
				next[x][c] += 3 * off
				next[x+1][c] += 5 * off
				next[x+2][c] += off
			}
		}
		now, next = next, now
	}
	return p
}

// nearest finds palette entries, and remembers what it found by the upper six
// bits of each channel.
type nearest struct {
	colors [][3]uint8
	known  []uint16
}

func newNearest(colors [][3]uint8) *nearest {
	return &nearest{colors, make([]uint16, 1<<18)}
}

func (n *nearest) index(c [3]uint8) uint8 {
	cell := &n.known[int(c[0]>>2)<<12|int(c[1]>>2)<<6|int(c[2]>>2)]
	if *cell == 0 {
		best, least := 0, 1<<30
		for i, p := range n.colors {
			r, g, b := int(p[0])-int(c[0]), int(p[1])-int(c[1]), int(p[2])-int(c[2])
			if d := 2*r*r + 4*g*g + b*b; d < least {
				best, least = i, d
			}
		}
		*cell = uint16(best) + 1
	}
	return uint8(*cell - 1) //nolint:gosec // as above
}
