//go:build vips

package vips

import (
	"math"

	"imagemill/pkg/pipeline"
)

// clamp rounds to a byte.
func clamp(v float64) byte { return byte(min(max(math.Floor(v+0.5), 0), 255)) }

// table gives what f makes of each level.
func table(f func(v float64) float64) *[256]byte {
	var t [256]byte
	for i := range t {
		t[i] = clamp(f(float64(i)))
	}
	return &t
}

// brightness adds a share of white.
func brightness(percent float64) *[256]byte {
	return table(func(v float64) float64 { return v + 255*percent/100 })
}

// contrast spreads the levels about the middle one.
func contrast(percent float64) *[256]byte {
	by := (100 + percent) / 100
	switch {
	case by >= 2:
		return table(func(v float64) float64 { return 255 * math.Floor(v/255+0.5) })
	case by > 1:
		by = 1 / (2 - by)
	}
	return table(func(v float64) float64 { return (0.5 + (v/255-0.5)*by) * 255 })
}

// gamma bends the levels.
func gamma(value float64) *[256]byte {
	return table(func(v float64) float64 { return math.Pow(v/255, 1/value) * 255 })
}

// negative turns the levels around.
var negative = *table(func(v float64) float64 { return 255 - v })

// luma is the lightness of a pixel as video counts it.
func luma(p []byte) byte {
	return byte(0.299*float64(p[0]) + 0.587*float64(p[1]) + 0.114*float64(p[2]) + 0.5)
}

func grey(p []byte) {
	y := luma(p)
	p[0], p[1], p[2] = y, y, y
}

// saturate multiplies the S of HSL, which keeps the H and the L: the distance
// of each channel from the lightness grows or shrinks by one factor.
func saturate(by float64) func(p []byte) {
	return func(p []byte) {
		r, g, b := float64(p[0]), float64(p[1]), float64(p[2])
		high, low := max(r, g, b), min(r, g, b)
		if high == low {
			return
		}
		middle := (high + low) / 2
		room := min(middle, 255-middle) // of the strongest colour at this lightness
		factor := min(by, room/((high-low)/2))
		p[0], p[1], p[2] = clamp(middle+(r-middle)*factor), clamp(middle+(g-middle)*factor), clamp(middle+(b-middle)*factor)
	}
}

// turnHue turns the H of HSL. Turning it keeps the largest and the smallest
// channel; only which channel has them, and the middle one, change.
func turnHue(degrees float64) func(p []byte) {
	turn := math.Mod(degrees/60+6, 6)
	return func(p []byte) {
		r, g, b := float64(p[0]), float64(p[1]), float64(p[2])
		high, low := max(r, g, b), min(r, g, b)
		if high == low {
			return
		}
		var hue float64 // in sixths of the wheel
		switch high {
		case r:
			hue = (g - b) / (high - low)
		case g:
			hue = (b-r)/(high-low) + 2
		default:
			hue = (r-g)/(high-low) + 4
		}
		hue = math.Mod(hue+turn+6, 6)
		middle := low + (high-low)*(1-math.Abs(math.Mod(hue, 2)-1))
		sixths := [6][3]float64{
			{high, middle, low}, {middle, high, low}, {low, high, middle}, {low, middle, high}, {middle, low, high}, {high, low, middle},
		}
		c := sixths[min(int(hue), 5)]
		p[0], p[1], p[2] = clamp(c[0]), clamp(c[1]), clamp(c[2])
	}
}

// sepia mixes a pixel with its brown shade, by percent.
func sepia(percent float64) func(p []byte) {
	share := uint32(percent/100*65536 + 0.5)
	return func(p []byte) {
		r, g, b := uint32(p[0]), uint32(p[1]), uint32(p[2])
		// The usual weights, in 16-bit fixed point.
		brown := [3]uint32{25756*r + 50397*g + 12386*b, 22872*r + 44958*g + 11010*b, 17826*r + 34996*g + 8585*b}
		for c, v := range brown {
			p[c] = byte((min(v>>16, 255)*share + uint32(p[c])*(65536-share) + 1<<15) >> 16) //nolint:gosec // a weighted mean of bytes
		}
	}
}

// tint shows the lightness of a pixel in shades of a colour.
func tint(c pipeline.Color) func(p []byte) {
	r, g, b, _ := c.NRGBA()
	return func(p []byte) {
		l := uint32(luma(p))
		p[0], p[1], p[2] = byte((l*uint32(r)+127)/255), byte((l*uint32(g)+127)/255), byte((l*uint32(b)+127)/255) //nolint:gosec // shares of bytes
	}
}
