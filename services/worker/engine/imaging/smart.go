package imaging

import (
	"image"
	"math"

	"imagemill/pkg/pipeline"
)

// smartSide is the longer side in pixels of the small picture on which places
// are judged.
const smartSide = 96

// interesting gives the top left corner of the part of w×h of what is seen that
// a smart gravity prefers.
func interesting(s scene, w, h int, g pipeline.Gravity) image.Point {
	size := s.size()
	room := image.Pt(size.X-w, size.Y-h)
	if room.X <= 0 && room.Y <= 0 {
		return image.Point{}
	}
	shrink := min(smartSide/float64(max(size.X, size.Y)), 1)
	to := image.Pt(atLeastOne(float64(size.X)*shrink), atLeastOne(float64(size.Y)*shrink))
	small := pixelsOf(s.colouredFor(to).scaled(to.X, to.Y, true))
	box := image.Pt(min(atLeastOne(float64(w)*shrink), small.Rect.Dx()), min(atLeastOne(float64(h)*shrink), small.Rect.Dy()))
	var best image.Point
	if g == pipeline.Entropy {
		best = mostEntropy(small, box)
	} else {
		best = mostSeen(attention(small), small.Rect.Size(), box)
	}
	return image.Pt(place1(best.X, small.Rect.Dx()-box.X, room.X), place1(best.Y, small.Rect.Dy()-box.Y, room.Y))
}

func atLeastOne(v float64) int { return max(int(math.Round(v)), 1) }

// place1 brings a place among small ones to one among all.
func place1(at, smallRoom, room int) int {
	if smallRoom <= 0 {
		return room / 2
	}
	return min((at*room+smallRoom/2)/smallRoom, room)
}

// attention gives every pixel a number for how much it draws the eye: edges
// first, then skin, then saturated colours that are neither black nor white.
func attention(m *image.NRGBA) []float64 {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	score := make([]float64, w*h)
	light := func(x, y int) float64 {
		x, y = min(max(x, 0), w-1), min(max(y, 0), h-1)
		return float64(luminance(m.Pix[y*m.Stride+4*x:])) / 255
	}
	for y := range h {
		for x := range w {
			p := m.Pix[y*m.Stride+4*x:][:4]
			l := light(x, y)
			edge := math.Abs(4*l - light(x-1, y) - light(x+1, y) - light(x, y-1) - light(x, y+1))
			score[y*w+x] = (edge + 1.2*skin(p, l) + 0.3*saturation(p, l)) * float64(p[3]) / 255
		}
	}
	return score
}

// skin is how near a colour's hue is to that of human skin, which is much the
// same for all people; what differs is its lightness.
func skin(p []uint8, light float64) float64 {
	r, g, b := float64(p[0]), float64(p[1]), float64(p[2])
	length := math.Sqrt(r*r + g*g + b*b)
	if length == 0 || light < 0.15 || light > 0.95 {
		return 0
	}
	off := math.Hypot(math.Hypot(r/length-0.78, g/length-0.52), b/length-0.35)
	return max(1-off/0.2, 0)
}

// saturation is that of HSL, for colours of middling lightness.
func saturation(p []uint8, light float64) float64 {
	if light < 0.05 || light > 0.9 {
		return 0
	}
	high, low := float64(max(p[0], p[1], p[2]))/255, float64(min(p[0], p[1], p[2]))/255
	if high == low {
		return 0
	}
	l := (high + low) / 2
	return max((high-low)/(1-math.Abs(2*l-1))-0.4, 0) / 0.6
}

// mostSeen finds the box with the largest sum; of equal ones the most central.
func mostSeen(score []float64, size, box image.Point) image.Point {
	stride := size.X + 1
	sums := make([]float64, stride*(size.Y+1))
	for y := range size.Y {
		row := 0.0
		for x := range size.X {
			row += score[y*size.X+x]
			sums[(y+1)*stride+x+1] = sums[y*stride+x+1] + row
		}
	}
	return mostOf(size, box, func(x, y int) float64 {
		return sums[(y+box.Y)*stride+x+box.X] - sums[y*stride+x+box.X] - sums[(y+box.Y)*stride+x] + sums[y*stride+x]
	})
}

// mostEntropy finds the box whose luminance is spread most.
func mostEntropy(m *image.NRGBA, box image.Point) image.Point {
	return mostOf(m.Rect.Size(), box, func(x, y int) float64 {
		var histogram [64]int
		for row := y; row < y+box.Y; row++ {
			for p := m.Pix[row*m.Stride+4*x:][:4*box.X]; len(p) >= 4; p = p[4:] {
				histogram[luminance(p)>>2]++
			}
		}
		n, sum := float64(box.X*box.Y), 0.0
		for _, count := range histogram {
			if count > 0 {
				sum -= float64(count) / n * math.Log2(float64(count)/n)
			}
		}
		return sum
	})
}

// mostOf tries all places of a box. A place must be better by more than what
// calculations leave; among equals the one nearest to the middle stays.
func mostOf(size, box image.Point, worth func(x, y int) float64) image.Point {
	best, most, nearest := image.Point{}, math.Inf(-1), math.Inf(1)
	for y := 0; y <= size.Y-box.Y; y++ {
		for x := 0; x <= size.X-box.X; x++ {
			v := worth(x, y)
			off := math.Hypot(float64(2*x+box.X-size.X), float64(2*y+box.Y-size.Y))
			if v > most+1e-9 || v > most-1e-9 && off < nearest {
				best, most, nearest = image.Pt(x, y), max(v, most), off
			}
		}
	}
	return best
}
