//go:build vips

package turbo

import (
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/image/webp"
)

// readPicture decodes a result.
func readPicture(t testing.TB, file string) image.Image {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	decode := jpeg.Decode
	if strings.HasSuffix(file, ".webp") {
		decode = webp.Decode
	}
	m, err := decode(f)
	require.NoError(t, err, file)
	return m
}

// rgb gives the three channels, each of w×h values.
func rgb(m image.Image) [3][]float64 {
	b := m.Bounds()
	var out [3][]float64
	for i := range out {
		out[i] = make([]float64, 0, b.Dx()*b.Dy())
	}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.NRGBAModel.Convert(at(m, x, y)).(color.NRGBA)
			out[0] = append(out[0], float64(c.R))
			out[1] = append(out[1], float64(c.G))
			out[2] = append(out[2], float64(c.B))
		}
	}
	return out
}

// at knows that the YCbCr of a WebP has the limited range, which Go's decoder
// does not say.
func at(m image.Image, x, y int) color.Color {
	v, ok := m.(limitedRange)
	if !ok {
		return m.At(x, y)
	}
	c := v.YCbCrAt(x, y)
	l, cb, cr := 1.164383*(float64(c.Y)-16), float64(c.Cb)-128, float64(c.Cr)-128
	clamp := func(f float64) uint8 { return uint8(min(max(f+0.5, 0), 255)) }
	return color.NRGBA{R: clamp(l + 1.596027*cr), G: clamp(l - 0.391762*cb - 0.812968*cr), B: clamp(l + 2.017232*cb), A: 255}
}

type limitedRange struct{ *image.YCbCr }

// show gives a result with its colours understood.
func show(t testing.TB, file string) image.Image {
	t.Helper()
	m := readPicture(t, file)
	if y, ok := m.(*image.YCbCr); ok && strings.HasSuffix(file, ".webp") {
		return limitedRange{y}
	}
	return m
}

// luma is BT.601's, of 0 to 255.
func luma(m image.Image) []float64 {
	c := rgb(m)
	out := make([]float64, len(c[0]))
	for i := range out {
		out[i] = 0.299*c[0][i] + 0.587*c[1][i] + 0.114*c[2][i]
	}
	return out
}

// ssim is the structural similarity of two pictures' luma, mean over windows of
// 8×8 at every second pixel.
func ssim(a, b image.Image) float64 {
	w, h := a.Bounds().Dx(), a.Bounds().Dy()
	return ssimOf(luma(a), luma(b), w, h)
}

func ssimOf(a, b []float64, w, h int) float64 {
	const c1, c2 = 6.5025, 58.5225
	side := min(8, w, h)
	var total, count float64
	for y := 0; y+side <= h; y += 2 {
		for x := 0; x+side <= w; x += 2 {
			var sa, sb, saa, sbb, sab float64
			for j := y; j < y+side; j++ {
				for i := x; i < x+side; i++ {
					p, q := a[j*w+i], b[j*w+i]
					sa, sb, saa, sbb, sab = sa+p, sb+q, saa+p*p, sbb+q*q, sab+p*q
				}
			}
			n := float64(side * side)
			ma, mb := sa/n, sb/n
			va, vb, cov := saa/n-ma*ma, sbb/n-mb*mb, sab/n-ma*mb
			total += (2*ma*mb + c1) * (2*cov + c2) / ((ma*ma + mb*mb + c1) * (va + vb + c2))
			count++
		}
	}
	return total / count
}

// meanDifference is per channel, of 255.
func meanDifference(a, b image.Image) float64 {
	x, y := rgb(a), rgb(b)
	var sum float64
	for c := range x {
		for i := range x[c] {
			sum += max(x[c][i]-y[c][i], y[c][i]-x[c][i])
		}
	}
	return sum / float64(3*len(x[0]))
}

// openPNG reads a reference.
func openPNG(t testing.TB, file string) image.Image {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	m, err := png.Decode(f)
	require.NoError(t, err)
	return m
}
