package imaging

import (
	"image"
	"image/color"
	"image/color/palette"
	"image/draw"

	lib "github.com/disintegration/imaging"
)

// maxColors is what a GIF can hold.
const maxColors = 256

// forGIF brings a picture to at most 256 colours. A picture that has no more is
// kept exactly; any other is dithered to a fixed palette. Pixels that are less
// than half opaque become the one transparent colour.
func forGIF(m image.Image) *image.Paletted {
	if p, ok := m.(*image.Paletted); ok && p.Rect.Min == (image.Point{}) {
		return p
	}
	n := lib.Clone(m)
	transparent := false
	for i := 3; i < len(n.Pix); i += 4 {
		if n.Pix[i] < 128 {
			n.Pix[i-3], n.Pix[i-2], n.Pix[i-1], n.Pix[i] = 0, 0, 0, 0
			transparent = true
			continue
		}
		n.Pix[i] = 255
	}
	if p := exactly(n); p != nil {
		return p
	}
	return dithered(n, transparent)
}

// exactly indexes a picture by its own colours; nil when there are too many.
func exactly(n *image.NRGBA) *image.Paletted {
	index := make(map[[4]uint8]uint8, maxColors)
	p := image.NewPaletted(n.Rect, nil)
	for i := range p.Pix {
		c := [4]uint8(n.Pix[4*i : 4*i+4])
		at, ok := index[c]
		if !ok {
			if len(index) == maxColors {
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

// dithered spreads the error of a fixed palette over the neighbours. The
// transparent colour takes no part in that: it is set afterwards.
func dithered(n *image.NRGBA, transparent bool) *image.Paletted {
	colors := append(color.Palette(nil), palette.Plan9...)
	last := uint8(len(colors) - 1) //nolint:gosec // a palette has at most 256 colours
	if transparent {
		colors = colors[:last]
	}
	p := image.NewPaletted(n.Rect, colors)
	draw.FloydSteinberg.Draw(p, p.Rect, n, image.Point{})
	if transparent {
		p.Palette = append(colors, color.NRGBA{})
		for i := range p.Pix {
			if n.Pix[4*i+3] == 0 {
				p.Pix[i] = last
			}
		}
	}
	return p
}
