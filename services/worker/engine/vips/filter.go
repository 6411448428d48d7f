//go:build vips

package vips

import (
	"image"

	"imagemill/pkg/pipeline"
)

// extract shows one channel as opaque grey.
func (c *canvas) extract(channel pipeline.Channel) (ref, error) {
	at := map[pipeline.Channel]int{pipeline.Red: 0, pipeline.Green: 1, pipeline.Blue: 2, pipeline.Alpha: 3}[channel]
	if at >= bands(c.m) {
		return c.colours(func(p []byte) { p[0], p[1], p[2] = 255, 255, 255 })
	}
	m, err := c.colours(func(p []byte) {
		v := p[at]
		p[0], p[1], p[2] = v, v, v
	})
	if err != nil || !alpha(m) {
		return m, err
	}
	return c.bandsOf(m, 0, 3)
}

// pixelate paints each square in its mean colour, of which transparent pixels
// are no part.
func pixelate(m *image.NRGBA, size int) {
	for y := 0; y < m.Rect.Max.Y; y += size {
		for x := 0; x < m.Rect.Max.X; x += size {
			square := image.Rect(x, y, x+size, y+size).Intersect(m.Rect)
			paint(m, square, average(m, square))
		}
	}
}

// average is the mean colour of a part of a picture.
func average(m *image.NRGBA, of image.Rectangle) [4]byte {
	var sum [3]uint64
	var alpha uint64
	for y := of.Min.Y; y < of.Max.Y; y++ {
		for x := of.Min.X; x < of.Max.X; x++ {
			p := m.Pix[y*m.Stride+4*x:][:4]
			a := uint64(p[3])
			alpha += a
			for c := range sum {
				sum[c] += a * uint64(p[c])
			}
		}
	}
	if alpha == 0 {
		return [4]byte{}
	}
	n := uint64(of.Dx()) * uint64(of.Dy())      //nolint:gosec // a square has pixels
	mean := [4]byte{3: byte((alpha + n/2) / n)} //nolint:gosec // a mean of bytes
	for c, v := range sum {
		mean[c] = byte((v + alpha/2) / alpha) //nolint:gosec // a mean of bytes
	}
	return mean
}

// paint fills a part of a picture with a colour.
func paint(m *image.NRGBA, part image.Rectangle, colour [4]byte) {
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			copy(m.Pix[y*m.Stride+4*x:], colour[:])
		}
	}
}

// trim cuts off the border in one colour.
func (c *canvas) trim(o pipeline.Trim) (ref, error) {
	if before, ok := c.choices[c.op]; ok {
		return c.part(before)
	}
	m, err := c.memory(c.m)
	if err != nil {
		return nil, err
	}
	c.m = m
	a := inner(view(m), width(m), height(m), bands(m), o)
	c.choices[c.op] = a
	return c.part(a)
}

// inner is what a trim leaves: the box around all pixels that differ from the
// border's colour. It is the whole picture when there are none.
func inner(pixels []byte, w, h, n int, o pipeline.Trim) area {
	border := [4]byte{3: 255}
	copy(border[:], pixels[:n])
	if o.Background != "" {
		border[0], border[1], border[2], border[3] = o.Background.NRGBA()
	}
	box := image.Rectangle{Min: image.Pt(w, h)}
	for y := range h {
		for x := range w {
			at := (y*w + x) * n
			if differs(pixels[at:at+n], border, o.Threshold) {
				box.Min.X, box.Max.X = min(box.Min.X, x), max(box.Max.X, x+1)
				box.Min.Y, box.Max.Y = min(box.Min.Y, y), y+1
			}
		}
	}
	if box.Empty() {
		return area{0, 0, w, h}
	}
	return area{box.Min.X, box.Min.Y, box.Dx(), box.Dy()}
}

// differs reports whether a channel is further off than the threshold. Two
// transparent pixels are alike whatever colour they hide.
func differs(p []byte, border [4]byte, threshold int) bool {
	own := [4]byte{3: 255}
	copy(own[:], p)
	if own[3] == 0 && border[3] == 0 {
		return false
	}
	for c, v := range border {
		if d := int(own[c]) - int(v); d > threshold || -d > threshold {
			return true
		}
	}
	return false
}
