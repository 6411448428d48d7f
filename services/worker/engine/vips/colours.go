//go:build vips

package vips

import (
	"image"
	"image/color"
	"slices"

	"imagemill/services/worker/engine/mediancut"
)

// exactly reports whether libvips makes a palette of at most so many colours,
// 0 for no palette. It goes by the bits of an index, of which both formats that
// have palettes can have 1, 2, 4 or 8.
func exactly(colors int) bool {
	return slices.Contains([]int{0, 1 << 1, 1 << 2, 1 << 4, 1 << 8}, colors)
}

// fewColours brings a picture to at most so many colours.
func (s *scope) fewColours(m ref, colors int) (ref, error) {
	m, err := s.addAlpha(m)
	if err != nil {
		return nil, err
	}
	m, err = s.edit(m, func(pixels []byte) {
		p := mediancut.Index(&image.NRGBA{Pix: pixels, Stride: 4 * width(m), Rect: image.Rect(0, 0, width(m), height(m))}, colors)
		for i, at := range p.Pix {
			c, _ := p.Palette[at].(color.NRGBA)
			pixels[4*i], pixels[4*i+1], pixels[4*i+2], pixels[4*i+3] = c.R, c.G, c.B, c.A
		}
	})
	if err != nil {
		return nil, err
	}
	return s.withoutIdleAlpha(m)
}
