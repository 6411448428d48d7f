package draw

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"imagemill/pkg/pipeline"
)

// regular parses Go Regular once. A parsed font is safe for concurrent use.
var regular = sync.OnceValues(func() (*opentype.Font, error) { return opentype.Parse(goregular.TTF) })

// Text draws the letters of an operation for a picture of w×h. It gives a raster
// with transparency around the letters, which are in their colour and opacity,
// and the place of its top left corner. The raster lies within the picture; it
// is empty, and there is nothing to draw, when no part of the text does.
//
// Lines are set under each other at the font's own distance, each held to the
// side that Gravity names. The block of lines, with its ascent and descent, is
// what Gravity, X and Y place.
func Text(o pipeline.Text, w, h int) (*image.NRGBA, image.Point, error) {
	parsed, err := regular()
	if err != nil {
		return nil, image.Point{}, fmt.Errorf("parse font: %w", err)
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: o.Size, DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		return nil, image.Point{}, fmt.Errorf("set font to %g pixels: %w", o.Size, err)
	}
	defer func() { _ = face.Close() }()
	b := blockOf(face, o.Text)
	x, y := o.Gravity.Inset(w, h, b.w, b.h, o.X, o.Y)
	seen := image.Rect(x, y, x+b.w, y+b.h).Intersect(image.Rect(0, 0, w, h))
	if seen.Empty() {
		return image.NewNRGBA(image.Rectangle{}), image.Point{}, nil
	}
	mask := image.NewAlpha(seen)
	b.draw(mask, face, image.Pt(x, y), align(o.Gravity))
	return filled(mask, ink(o.Color, o.Opacity)), seen.Min, nil
}

// block is the measure of a text.
type block struct {
	lines   []string
	widths  []int
	w, h    int
	ascent  fixed.Int26_6
	advance fixed.Int26_6
}

// rim is room in pixels for letters that reach beyond their advance.
const rim = 2

func blockOf(face font.Face, text string) block {
	m := face.Metrics()
	b := block{lines: strings.Split(text, "\n"), ascent: m.Ascent, advance: m.Height}
	for _, line := range b.lines {
		width := font.MeasureString(face, line).Ceil() + 2*rim
		b.widths, b.w = append(b.widths, width), max(b.w, width)
	}
	b.h = (m.Ascent + m.Descent + m.Height.Mul(fixed.I(len(b.lines)-1))).Ceil()
	return b
}

// draw sets the lines with the block's corner at a point.
func (b block) draw(mask *image.Alpha, face font.Face, at image.Point, align float64) {
	for i, line := range b.lines {
		left := at.X + rim + int(align*float64(b.w-b.widths[i]))
		pen := fixed.Point26_6{X: fixed.I(left), Y: fixed.I(at.Y) + b.ascent + b.advance.Mul(fixed.I(i))}
		drawer := font.Drawer{Dst: mask, Src: image.Opaque, Face: face, Dot: pen}
		drawer.DrawString(line)
	}
}

// align is the share of the free space that goes to the left of a line.
func align(g pipeline.Gravity) float64 {
	switch {
	case strings.HasSuffix(string(g), "west"):
		return 0
	case strings.HasSuffix(string(g), "east"):
		return 1
	}
	return 0.5
}

// ink is a colour weakened by an opacity of 0 to 1.
func ink(c pipeline.Color, opacity float64) color.NRGBA {
	r, g, b, a := c.NRGBA()
	return color.NRGBA{R: r, G: g, B: b, A: uint8(math.Round(float64(a) * opacity))}
}

// filled gives a raster in one colour where the mask is.
func filled(mask *image.Alpha, c color.NRGBA) *image.NRGBA {
	out := image.NewNRGBA(image.Rectangle{Max: mask.Rect.Size()})
	for y := range out.Rect.Max.Y {
		line := out.Pix[y*out.Stride:][:out.Stride]
		for x, v := range mask.Pix[y*mask.Stride:][:out.Rect.Max.X] {
			line[4*x], line[4*x+1], line[4*x+2] = c.R, c.G, c.B
			line[4*x+3] = uint8((uint32(v)*uint32(c.A) + 127) / 255) //nolint:gosec // a share of a byte
		}
	}
	return out
}
