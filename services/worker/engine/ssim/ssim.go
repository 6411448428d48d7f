// Package ssim measures how alike two pictures look: the structural similarity
// index of Wang, Bovik, Sheikh and Simoncelli (2004), on luma.
//
// Windows are squares of 8×8 pixels, all weighing the same, four pixels apart,
// so that each pixel but those at the rim lies in four of them. The paper's
// Gaussian window of 11×11 gives nearly the same mean (its authors name the
// square as the simpler choice) and costs some thirty times as much, which
// counts where a quality is searched for. The constants are the paper's: K1 =
// 0.01, K2 = 0.03, L = 255. Colour differences are not seen.
package ssim

import (
	"fmt"
	"image"
	"image/color"
)

// window is the side of a window, step the distance of two, in pixels.
const (
	window = 8
	step   = 4
)

// The constants that keep flat windows from dividing by nothing.
const (
	c1 = (0.01 * 255) * (0.01 * 255)
	c2 = (0.03 * 255) * (0.03 * 255)
)

// Images compares two pictures of the same size by their luma: 1 for equal
// ones, down to -1. It fails when the sizes differ or a picture is empty.
func Images(a, b image.Image) (float64, error) { return Gray(Luma(a), Luma(b)) }

// Gray is Images for pictures that are luma alone already.
func Gray(a, b *image.Gray) (float64, error) {
	size := a.Rect.Size()
	if other := b.Rect.Size(); size != other || a.Rect.Empty() {
		return 0, fmt.Errorf("compare pictures of %v and %v pixels: they must be of one size and not empty", size, other)
	}
	var sum float64
	n := 0
	for y := 0; ; y += step {
		y = min(y, max(size.Y-window, 0))
		for x := 0; ; x += step {
			x = min(x, max(size.X-window, 0))
			sum += compare(a, b, x, y, min(window, size.X), min(window, size.Y))
			n++
			if x+window >= size.X {
				break
			}
		}
		if y+window >= size.Y {
			return sum / float64(n), nil
		}
	}
}

// compare is the index of one window.
func compare(a, b *image.Gray, x, y, w, h int) float64 {
	var sa, sb, saa, sbb, sab uint32
	for row := y; row < y+h; row++ {
		pa := a.Pix[row*a.Stride+x:][:w]
		pb := b.Pix[row*b.Stride+x:][:len(pa)]
		for i, va := range pa {
			p, q := uint32(va), uint32(pb[i])
			sa += p
			sb += q
			saa += p * p
			sbb += q * q
			sab += p * q
		}
	}
	n := float64(w * h)
	ma, mb := float64(sa)/n, float64(sb)/n
	va, vb, cov := float64(saa)/n-ma*ma, float64(sbb)/n-mb*mb, float64(sab)/n-ma*mb
	return (2*ma*mb + c1) * (2*cov + c2) / ((ma*ma + mb*mb + c1) * (va + vb + c2))
}

// Luma gives the brightness of a picture by the weights of JPEG. The result
// begins at (0,0) and may share the picture's memory: it is to be read only.
// Transparent parts count as laid over white.
func Luma(m image.Image) *image.Gray {
	b := m.Bounds()
	rect := image.Rect(0, 0, b.Dx(), b.Dy())
	switch p := m.(type) {
	case *image.Gray:
		return &image.Gray{Pix: p.Pix[p.PixOffset(b.Min.X, b.Min.Y):], Stride: p.Stride, Rect: rect}
	case *image.YCbCr:
		return &image.Gray{Pix: p.Y[p.YOffset(b.Min.X, b.Min.Y):], Stride: p.YStride, Rect: rect}
	}
	out := image.NewGray(rect)
	for y := range rect.Max.Y {
		row := out.Pix[y*out.Stride:][:rect.Max.X]
		switch p := m.(type) {
		case *image.NRGBA:
			lumaNRGBA(row, p.Pix[p.PixOffset(b.Min.X, b.Min.Y+y):])
		case *image.RGBA:
			lumaRGBA(row, p.Pix[p.PixOffset(b.Min.X, b.Min.Y+y):])
		default:
			for x := range row {
				c := color.RGBAModel.Convert(m.At(b.Min.X+x, b.Min.Y+y)).(color.RGBA)
				row[x] = weigh(c.R, c.G, c.B) + (255 - c.A)
			}
		}
	}
	return out
}

func lumaNRGBA(row, pix []uint8) {
	for x := range row {
		p := pix[4*x : 4*x+4 : 4*x+4]
		row[x] = weigh(p[0], p[1], p[2])
		if a := uint32(p[3]); a != 255 {
			row[x] = uint8((uint32(row[x])*a + 255*(255-a) + 127) / 255) //nolint:gosec // a weighted mean of two bytes is one
		}
	}
}

func lumaRGBA(row, pix []uint8) {
	for x := range row {
		p := pix[4*x : 4*x+4 : 4*x+4]
		row[x] = min(weigh(p[0], p[1], p[2]), p[3]) + (255 - p[3])
	}
}

// weigh mixes the three channels in 16-bit fixed point.
func weigh(r, g, b uint8) uint8 {
	return uint8((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16) //nolint:gosec // the weights add up to one
}
