package imaging

import (
	"image"

	lib "github.com/disintegration/imaging"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine/draw"
)

// sepia mixes a picture with its brown shade, by percent.
func sepia(m image.Image, percent float64) *image.NRGBA {
	out := lib.Clone(m)
	share := uint32(percent/100*65536 + 0.5)
	for p := out.Pix; len(p) >= 4; p = p[4:] {
		r, g, b := uint32(p[0]), uint32(p[1]), uint32(p[2])
		// The usual weights, in 16-bit fixed point.
		brown := [3]uint32{25756*r + 50397*g + 12386*b, 22872*r + 44958*g + 11010*b, 17826*r + 34996*g + 8585*b}
		for c, v := range brown {
			v = min(v>>16, 255)
			p[c] = uint8((v*share + uint32(p[c])*(65536-share) + 1<<15) >> 16) //nolint:gosec // a weighted mean of bytes
		}
	}
	return out
}

// luminance mixes the channels of a pixel by the weights of JPEG.
func luminance(p []uint8) uint32 {
	return (19595*uint32(p[0]) + 38470*uint32(p[1]) + 7471*uint32(p[2]) + 1<<15) >> 16
}

// tint shows the luminance in shades of a colour.
func tint(m image.Image, c pipeline.Color) *image.NRGBA {
	out := lib.Clone(m)
	r, g, b, _ := c.NRGBA()
	for p := out.Pix; len(p) >= 4; p = p[4:] {
		l := luminance(p)
		for i, v := range [3]uint8{r, g, b} {
			p[i] = uint8((l*uint32(v) + 127) / 255) //nolint:gosec // a share of a byte
		}
	}
	return out
}

// extract shows one channel as opaque grey.
func extract(m image.Image, c pipeline.Channel) *image.NRGBA {
	out := lib.Clone(m)
	at := map[pipeline.Channel]int{pipeline.Red: 0, pipeline.Green: 1, pipeline.Blue: 2, pipeline.Alpha: 3}[c]
	for p := out.Pix; len(p) >= 4; p = p[4:] {
		v := p[at]
		p[0], p[1], p[2], p[3] = v, v, v, 255
	}
	return out
}

// pixelate paints each square in its mean colour, of which transparent pixels
// are no part.
func pixelate(m image.Image, size int) *image.NRGBA {
	out := lib.Clone(m)
	for y := 0; y < out.Rect.Max.Y; y += size {
		for x := 0; x < out.Rect.Max.X; x += size {
			flat(out.SubImage(image.Rect(x, y, x+size, y+size)).(*image.NRGBA))
		}
	}
	return out
}

// flat paints a picture in its mean colour.
func flat(m *image.NRGBA) {
	var sum [3]uint64
	var alpha uint64
	w, h := m.Rect.Dx(), m.Rect.Dy()
	for y := range h {
		for p := m.Pix[y*m.Stride:][:4*w]; len(p) >= 4; p = p[4:] {
			a := uint64(p[3])
			alpha += a
			for c := range sum {
				sum[c] += a * uint64(p[c])
			}
		}
	}
	var mean [4]uint8
	if alpha > 0 {
		n := uint64(w * h) //nolint:gosec // a picture is not empty
		for c, v := range sum {
			mean[c] = uint8((v + alpha/2) / alpha) //nolint:gosec // a mean of bytes
		}
		mean[3] = uint8((alpha + n/2) / n) //nolint:gosec // a mean of bytes
	}
	for y := range h {
		for p := m.Pix[y*m.Stride:][:4*w]; len(p) >= 4; p = p[4:] {
			copy(p, mean[:])
		}
	}
}

// rounded makes the corners transparent.
func rounded(m image.Image, o pipeline.RoundCorners) *image.NRGBA {
	out := lib.Clone(m)
	draw.Round(out, o)
	return out
}

// letters writes a text over a picture.
func letters(m image.Image, o pipeline.Text) (*image.NRGBA, error) {
	top, at, err := draw.Text(o, m.Bounds().Dx(), m.Bounds().Dy())
	if err != nil {
		return nil, err
	}
	out := lib.Clone(m)
	draw.Over(out, top, at)
	return out, nil
}

// inner is what a trim leaves: the box around all pixels that differ from the
// border's colour. It is the whole picture when there are none.
func inner(m *image.NRGBA, o pipeline.Trim) image.Rectangle {
	border := [4]uint8(m.Pix[:4])
	if o.Background != "" {
		c := nrgba(o.Background)
		border = [4]uint8{c.R, c.G, c.B, c.A}
	}
	w, h := m.Rect.Dx(), m.Rect.Dy()
	box := image.Rectangle{Min: image.Pt(w, h)}
	for y := range h {
		first, last := -1, -1
		line := m.Pix[y*m.Stride:][:4*w]
		for x := range w {
			if differs(line[4*x:4*x+4], border, o.Threshold) {
				if last = x; first < 0 {
					first = x
				}
			}
		}
		if first >= 0 {
			box.Min.X, box.Max.X = min(box.Min.X, first), max(box.Max.X, last+1)
			box.Min.Y, box.Max.Y = min(box.Min.Y, y), y+1
		}
	}
	if box.Empty() {
		return m.Rect
	}
	return box
}

// differs reports whether a channel is further off than the threshold. Two
// transparent pixels are alike whatever colour they hide.
func differs(p []uint8, border [4]uint8, threshold int) bool {
	if p[3] == 0 && border[3] == 0 {
		return false
	}
	for c, v := range border {
		if d := int(p[c]) - int(v); d > threshold || -d > threshold {
			return true
		}
	}
	return false
}
