package draw

import (
	"image"
	"math"

	"imagemill/pkg/pipeline"
)

// Scaled is the size to bring a watermark of w×h to before it is laid over a
// picture of a width. Its shape is kept, and no side is below one pixel.
func Scaled(o pipeline.Watermark, pictureW, w, h int) (int, int) {
	if o.Scale == 0 {
		return w, h
	}
	toW := max(int(math.Round(o.Scale*float64(pictureW))), 1)
	return toW, max(int(math.Round(float64(toW)*float64(h)/float64(w))), 1)
}

// Places gives the top left corners at which a watermark of w×h, as it is after
// Scaled, is laid over a picture of W×H: one, or all of a tiling that touch the
// picture, row by row. Of a mark of few pixels these are many: [Layer] does without.
func Places(o pipeline.Watermark, pictureW, pictureH, w, h int) []image.Point {
	if !o.Tile {
		x, y := o.Gravity.Inset(pictureW, pictureH, w, h, o.X, o.Y)
		return []image.Point{{X: x, Y: y}}
	}
	var all []image.Point
	for y := 0; y < pictureH; y += h + max(o.Y, 0) {
		for x := 0; x < pictureW; x += w + max(o.X, 0) {
			all = append(all, image.Pt(x, y))
		}
	}
	return all
}

// Layer draws all that a watermark covers of a picture of W×H: a raster and the
// place of its top left corner, with the opacity in it. A single mark is clipped
// to the picture; a tiling is as large as the picture. The mark is as it is after
// Scaled, and begins at (0,0).
func Layer(o pipeline.Watermark, mark *image.NRGBA, pictureW, pictureH int) (*image.NRGBA, image.Point) {
	size, canvas := mark.Rect.Size(), image.Rect(0, 0, pictureW, pictureH)
	area := canvas
	x, y := 0, 0
	if !o.Tile {
		x, y = o.Gravity.Inset(pictureW, pictureH, size.X, size.Y, o.X, o.Y)
		area = image.Rectangle{Max: size}.Add(image.Pt(x, y)).Intersect(canvas)
	}
	out := image.NewNRGBA(image.Rectangle{Max: area.Size()})
	stepX, stepY := size.X+max(o.X, 0), size.Y+max(o.Y, 0)
	for row := range out.Rect.Max.Y {
		fromY := row + area.Min.Y - y
		if o.Tile {
			fromY = row % stepY
		}
		if fromY >= size.Y {
			continue
		}
		line := out.Pix[row*out.Stride:][:out.Stride]
		for col := 0; col < out.Rect.Max.X; {
			fromX := col + area.Min.X - x
			if o.Tile {
				fromX = col % stepX
			}
			if fromX >= size.X {
				col += stepX - fromX
				continue
			}
			n := copy(line[4*col:], mark.Pix[fromY*mark.Stride+4*fromX:][:4*(size.X-fromX)])
			col += n / 4
		}
	}
	weaken(out, o.Opacity)
	return out, area.Min
}

// weaken multiplies the alpha of a picture.
func weaken(m *image.NRGBA, opacity float64) {
	if opacity >= 1 {
		return
	}
	share := uint32(opacity*65536 + 0.5)
	for i := 3; i < len(m.Pix); i += 4 {
		m.Pix[i] = uint8((uint32(m.Pix[i])*share + 1<<15) >> 16) //nolint:gosec // a share of a byte
	}
}

// Over lays a raster over a picture at a point, in place. What lies beyond the
// picture is left out.
func Over(m, top *image.NRGBA, at image.Point) {
	area := top.Rect.Sub(top.Rect.Min).Add(at).Intersect(image.Rectangle{Max: m.Rect.Size()})
	for y := area.Min.Y; y < area.Max.Y; y++ {
		under := m.Pix[y*m.Stride+4*area.Min.X:][:4*area.Dx()]
		over := top.Pix[(y-at.Y)*top.Stride+4*(area.Min.X-at.X):][:len(under)]
		for len(under) >= 4 && len(over) >= 4 {
			mix(under[:4:4], over[:4:4])
			under, over = under[4:], over[4:]
		}
	}
}

// mix lays one pixel over another: Porter and Duff's "over", alpha not
// multiplied in.
func mix(under, over []uint8) {
	a, b := uint32(over[3]), uint32(under[3])
	switch {
	case a == 0:
		return
	case a == 255 || b == 0:
		copy(under, over)
		return
	}
	rest := b * (255 - a) // of what is below, in 1/255
	total := a*255 + rest
	for c := range 3 {
		under[c] = uint8((uint32(over[c])*a*255 + uint32(under[c])*rest + total/2) / total) //nolint:gosec // a weighted mean of bytes
	}
	under[3] = uint8((total + 127) / 255) //nolint:gosec // at most 255·255
}
