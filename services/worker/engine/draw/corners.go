package draw

import (
	"image"
	"math"

	"imagemill/pkg/pipeline"
)

// Radius is the radius in pixels of an operation on a picture of w×h: at most
// half of the shorter side.
func Radius(o pipeline.RoundCorners, w, h int) float64 {
	short := float64(min(w, h))
	if o.Percent != 0 {
		return min(short*o.Percent/100, short/2)
	}
	return min(float64(o.Radius), short/2)
}

// Corner is how much of each pixel of the top left corner is seen, 0 to 255: a
// square of as many pixels as the radius has, rounded up. The other corners are
// its mirrors. Edges are smooth: a pixel that the circle passes through is seen
// in part.
func Corner(radius float64) *image.Alpha {
	side := int(math.Ceil(radius))
	m := image.NewAlpha(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			distance := math.Hypot(radius-float64(x)-0.5, radius-float64(y)-0.5)
			m.Pix[y*m.Stride+x] = uint8(255*min(max(radius-distance+0.5, 0), 1) + 0.5)
		}
	}
	return m
}

// Round makes the corners of a picture transparent, in place.
func Round(m *image.NRGBA, o pipeline.RoundCorners) {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	corner := Corner(Radius(o, w, h))
	for y := range corner.Rect.Max.Y {
		for x := range corner.Rect.Max.X {
			seen := uint32(corner.Pix[y*corner.Stride+x])
			if seen == 255 {
				continue
			}
			for i, at := range [4]int{y*m.Stride + 4*x, y*m.Stride + 4*(w-1-x), (h-1-y)*m.Stride + 4*x, (h-1-y)*m.Stride + 4*(w-1-x)} {
				if i%2 == 1 && w-1-x == x || i >= 2 && h-1-y == y {
					continue // the middle of an odd side is its own mirror
				}
				m.Pix[at+3] = uint8((uint32(m.Pix[at+3])*seen + 127) / 255) //nolint:gosec // a share of a byte
			}
		}
	}
}
