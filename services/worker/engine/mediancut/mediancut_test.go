package mediancut_test

import (
	"fmt"
	"image"
	"image/color"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine/mediancut"
)

// clouds has more colours than a palette, and a stripe that is transparent.
func clouds() *image.NRGBA {
	m := image.NewNRGBA(image.Rect(3, 5, 103, 65))
	for y := range 60 {
		for x := range 100 {
			m.SetNRGBA(3+x, 5+y, color.NRGBA{R: uint8(2 * x), G: uint8(4 * y), B: uint8(x + y), A: uint8(255 * (x / 10 & 1))})
		}
	}
	return m
}

func TestNoMoreColoursThanAllowed(t *testing.T) {
	for _, n := range []int{2, 3, 8, 100, 255, 256} {
		p := mediancut.Index(clouds(), n)
		require.Equal(t, image.Rect(0, 0, 100, 60), p.Rect)
		require.LessOrEqual(t, len(p.Palette), n)
		for i, at := range p.Pix {
			require.Less(t, int(at), len(p.Palette))
			_, _, _, a := p.Palette[at].RGBA()
			require.Equal(t, i%100/10&1 == 1, a == 0xffff, "what is transparent stays so")
		}
	}
}

func TestFewColoursAreKept(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 8, 8))
	for i := range 64 {
		m.SetNRGBA(i%8, i/8, color.NRGBA{R: uint8(i % 5), G: 200, B: 7, A: 255})
	}
	p := mediancut.Index(m, 5)
	require.Len(t, p.Palette, 5)
	for i := range 64 {
		require.Equal(t, m.NRGBAAt(i%8, i/8), p.At(i%8, i/8))
	}
}

func ExampleIndex() {
	m := image.NewGray(image.Rect(0, 0, 256, 1))
	for i := range m.Pix {
		m.Pix[i] = uint8(i)
	}
	fmt.Println(len(mediancut.Index(m, 16).Palette))
	// Output: 16
}
