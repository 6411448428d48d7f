package mediancut

import (
	"image"
	"slices"
)

// shade is a cell of the colour cube, 32 to a side, with the pixels in it.
type shade struct {
	sum   [3]uint64
	count uint64
}

func (s shade) mean(c int) uint8 { return uint8((s.sum[c] + s.count/2) / s.count) } //nolint:gosec // a mean of bytes

// choose gives up to n colours for the opaque pixels of a picture: the box
// of colours with the largest spread is cut at its middle pixel, again and again.
func choose(m *image.NRGBA, n int) [][3]uint8 {
	cells := make([]shade, 1<<15)
	for p := m.Pix; len(p) >= 4; p = p[4:] {
		if p[3] == 0 {
			continue
		}
		s := &cells[int(p[0]>>3)<<10|int(p[1]>>3)<<5|int(p[2]>>3)]
		s.sum[0], s.sum[1], s.sum[2] = s.sum[0]+uint64(p[0]), s.sum[1]+uint64(p[1]), s.sum[2]+uint64(p[2])
		s.count++
	}
	used := slices.DeleteFunc(cells, func(s shade) bool { return s.count == 0 })
	boxes := []colorBox{newColorBox(used)}
	for len(boxes) < n {
		widest := 0
		for i, b := range boxes {
			if b.weight > boxes[widest].weight {
				widest = i
			}
		}
		if boxes[widest].weight == 0 {
			break
		}
		a, b := boxes[widest].cut()
		boxes[widest] = a
		boxes = append(boxes, b)
	}
	colors := make([][3]uint8, len(boxes))
	for i, b := range boxes {
		var all shade
		for _, s := range b.shades {
			all.count += s.count
			for c := range 3 {
				all.sum[c] += s.sum[c]
			}
		}
		colors[i] = [3]uint8{all.mean(0), all.mean(1), all.mean(2)}
	}
	return colors
}

// colorBox is some shades, and along which channel they spread most.
type colorBox struct {
	shades  []shade
	channel int
	weight  float64 // 0 when it cannot be cut
}

func newColorBox(shades []shade) colorBox {
	b := colorBox{shades: shades}
	if len(shades) < 2 {
		return b
	}
	total := 0.0
	for _, s := range shades {
		total += float64(s.count)
	}
	for c := range 3 {
		mean, spread := 0.0, 0.0
		for _, s := range shades {
			mean += float64(s.sum[c])
		}
		mean /= total
		for _, s := range shades {
			d := float64(s.sum[c])/float64(s.count) - mean
			spread += d * d * float64(s.count)
		}
		if spread *= [3]float64{2, 4, 1}[c]; spread > b.weight {
			b.channel, b.weight = c, spread
		}
	}
	return b
}

// cut divides the box where half of its pixels lie on each side.
func (b colorBox) cut() (colorBox, colorBox) {
	slices.SortFunc(b.shades, func(p, q shade) int { return int(p.mean(b.channel)) - int(q.mean(b.channel)) })
	total := uint64(0)
	for _, s := range b.shades {
		total += s.count
	}
	at, sum := 0, uint64(0)
	for at < len(b.shades)-2 && sum+b.shades[at].count <= total/2 {
		sum += b.shades[at].count
		at++
	}
	at = max(at, 1)
	return newColorBox(b.shades[:at]), newColorBox(b.shades[at:])
}
