package ssim_test

import (
	"fmt"
	"image"
	"image/color"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine/ssim"
)

// scene is a picture with edges, a gradient and some noise.
func scene(w, h, noise int) *image.Gray {
	random := rand.New(rand.NewPCG(7, 7))
	m := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			v := 40 + 2*x + 100*((x/9+y/7)%2)
			m.Pix[y*m.Stride+x] = uint8(min(max(v%256+random.IntN(2*noise+1)-noise, 0), 255))
		}
	}
	return m
}

func TestEqualPicturesAreOne(t *testing.T) {
	for _, size := range []image.Point{{1, 1}, {3, 50}, {8, 8}, {9, 11}, {64, 40}} {
		m := scene(size.X, size.Y, 0)
		v, err := ssim.Gray(m, m)
		require.NoError(t, err)
		require.InDelta(t, 1, v, 1e-9, size)
	}
}

func TestMoreNoiseIsLessAlike(t *testing.T) {
	clean := scene(120, 90, 0)
	last := 1.0
	for _, noise := range []int{2, 8, 20, 60} {
		v, err := ssim.Gray(clean, scene(120, 90, noise))
		require.NoError(t, err)
		require.Less(t, v, last, noise)
		last = v
	}
	require.Less(t, last, 0.9)
	negative := image.NewGray(clean.Rect)
	for i, v := range clean.Pix {
		negative.Pix[i] = 255 - v
	}
	v, err := ssim.Gray(clean, negative)
	require.NoError(t, err)
	require.Less(t, v, 0.0, "a negative has the opposite structure")
}

// A window is worked out by hand: two flat pictures differ in luminance only.
func TestFlatPictures(t *testing.T) {
	a, b := image.NewGray(image.Rect(0, 0, 20, 20)), image.NewGray(image.Rect(0, 0, 20, 20))
	for i := range a.Pix {
		a.Pix[i], b.Pix[i] = 100, 150
	}
	v, err := ssim.Gray(a, b)
	require.NoError(t, err)
	require.InDelta(t, (2*100*150+6.5025)/(100*100+150*150+6.5025), v, 1e-9)
}

func TestSizesMustAgree(t *testing.T) {
	_, err := ssim.Images(scene(4, 4, 0), scene(4, 5, 0))
	require.ErrorContains(t, err, "(4,4)")
	_, err = ssim.Gray(&image.Gray{}, &image.Gray{})
	require.Error(t, err)
}

// One grey picture has the same luma in every type, also as a part of another.
func TestLumaOfEveryType(t *testing.T) {
	want := scene(10, 10, 0)
	part := image.Rect(2, 3, 9, 10)
	full := func(set func(x, y int, c color.Color), m image.Image) image.Image {
		for y := range 10 {
			for x := range 10 {
				set(x, y, want.At(x, y))
			}
		}
		return m
	}
	nrgba, rgba, deep := image.NewNRGBA(want.Rect), image.NewRGBA(want.Rect), image.NewNRGBA64(want.Rect)
	ycc := image.NewYCbCr(want.Rect, image.YCbCrSubsampleRatio420)
	copy(ycc.Y, want.Pix)
	for _, m := range []interface {
		SubImage(r image.Rectangle) image.Image
	}{
		want, full(nrgba.Set, nrgba).(*image.NRGBA), full(rgba.Set, rgba).(*image.RGBA), full(deep.Set, deep).(*image.NRGBA64), ycc,
	} {
		got := ssim.Luma(m.SubImage(part))
		require.Equal(t, image.Rect(0, 0, 7, 7), got.Rect)
		for y := range 7 {
			require.Equal(t, want.Pix[(y+3)*10+2:][:7], got.Pix[y*got.Stride:][:7], "%T", m)
		}
	}
	clear := ssim.Luma(image.NewNRGBA(image.Rect(0, 0, 1, 1)))
	require.Equal(t, uint8(255), clear.Pix[0], "nothing on white is white")
	require.Equal(t, uint8(255), ssim.Luma(image.NewRGBA(image.Rect(0, 0, 1, 1))).Pix[0])
}

func ExampleImages() {
	m := image.NewGray(image.Rect(0, 0, 16, 16))
	v, err := ssim.Images(m, m)
	fmt.Println(v, err)
	// Output: 1 <nil>
}

func BenchmarkGray(b *testing.B) {
	m, n := scene(800, 600, 0), scene(800, 600, 5)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = ssim.Gray(m, n)
	}
}
