package imaging

import (
	"image"
	"image/color"
	"math"

	lib "github.com/disintegration/imaging"
)

// swapRedBlue exchanges the two channels of every pixel.
func swapRedBlue(m image.Image) *image.NRGBA {
	out := lib.Clone(m)
	for i := 0; i+3 < len(out.Pix); i += 4 {
		out.Pix[i], out.Pix[i+2] = out.Pix[i+2], out.Pix[i]
	}
	return out
}

// turnHue turns the H of HSL. Turning it keeps the largest and the smallest
// channel; only which channel has them, and the middle one, change.
func turnHue(m image.Image, degrees float64) *image.NRGBA {
	turn := math.Mod(degrees/60+6, 6)
	return lib.AdjustFunc(m, func(c color.NRGBA) color.NRGBA {
		r, g, b := float64(c.R), float64(c.G), float64(c.B)
		high, low := max(r, g, b), min(r, g, b)
		if high == low {
			return c
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
		switch int(hue) {
		case 0:
			r, g, b = high, middle, low
		case 1:
			r, g, b = middle, high, low
		case 2:
			r, g, b = low, high, middle
		case 3:
			r, g, b = low, middle, high
		case 4:
			r, g, b = middle, low, high
		default:
			r, g, b = high, low, middle
		}
		return color.NRGBA{R: uint8(r + 0.5), G: uint8(g + 0.5), B: uint8(b + 0.5), A: c.A}
	})
}

// flatten lays a picture over a colour. The result is opaque.
func flatten(m image.Image, under color.NRGBA) *image.NRGBA {
	out := lib.Clone(m)
	for i := 0; i+3 < len(out.Pix); i += 4 {
		p := out.Pix[i : i+4 : i+4]
		a := uint32(p[3])
		if a == 255 {
			continue
		}
		p[0] = over(p[0], under.R, a)
		p[1] = over(p[1], under.G, a)
		p[2] = over(p[2], under.B, a)
		p[3] = 255
	}
	return out
}

// over mixes two channels by an alpha of 0 to 255, rounded.
func over(top, bottom uint8, a uint32) uint8 {
	return uint8((uint32(top)*a + uint32(bottom)*(255-a) + 127) / 255) //nolint:gosec // a weighted mean of two bytes is one
}
