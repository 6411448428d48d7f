//go:build vips

package turbo

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine/enginetest"
)

// kind is how a JPEG for a test is stored.
type kind struct {
	sampling
	grey, progressive bool
	optimize          bool
	quality, restart  int
}

var kinds = map[string]kind{
	"420":         {sampling: sampling{2, 2}},
	"422":         {sampling: sampling{2, 1}},
	"444":         {sampling: sampling{1, 1}},
	"440":         {sampling: sampling{1, 2}},
	"411":         {sampling: sampling{4, 1}},
	"gray":        {grey: true},
	"restarts":    {sampling: sampling{2, 2}, restart: 7, optimize: true},
	"progressive": {sampling: sampling{2, 2}, progressive: true},
}

// texture is a picture with detail of all sizes and colours that belong to
// places, so that nothing that is moved or turned goes unseen.
func texture(w, h int) image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			u, v := float64(x)/float64(w), float64(y)/float64(h)
			wave := math.Sin(40*u*u+3*v) + math.Sin(25*v*v*v+7*u) + 0.5*math.Sin(90*u*v)
			m.SetNRGBA(x, y, color.NRGBA{
				R: uint8(100 + 40*wave*0.8 + 50*u), G: uint8(110 + 35*wave*0.8 + 40*v), B: uint8(100 + 25*wave*0.8 + 60*(1-u)*v), A: 255,
			})
		}
	}
	return m
}

// photograph is a lossless one where the shared folder exists.
func photograph(t testing.TB) image.Image {
	t.Helper()
	f, err := os.Open(filepath.Join(enginetest.Shared(t, "photos"), "kodak-23.png"))
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	m, err := png.Decode(f)
	require.NoError(t, err)
	return m
}

// planes puts a picture into planes, chroma as the mean of the pixels.
func planes(t testing.TB, m image.Image, k kind) picture {
	t.Helper()
	b, n := m.Bounds(), 3
	if k.grey {
		n, k.sampling = 1, sampling{1, 1}
	}
	p, err := newPicture(n, b.Dx(), b.Dy(), k.sampling)
	require.NoError(t, err)
	for c := range n {
		every := sampling{1, 1}
		if c > 0 {
			every = k.sampling
		}
		data, stride := p.samples(c)
		for y := 0; y*every.sy < b.Dy(); y++ {
			for x := 0; x*every.sx < b.Dx(); x++ {
				sum := 0
				for i := range every.sx * every.sy {
					px, py := min(x*every.sx+i%every.sx, b.Dx()-1), min(y*every.sy+i/every.sx, b.Dy()-1)
					v := color.YCbCrModel.Convert(m.At(b.Min.X+px, b.Min.Y+py)).(color.YCbCr)
					sum += int([3]uint8{v.Y, v.Cb, v.Cr}[c])
				}
				data[y*stride+x] = uint8((sum + every.sx*every.sy/2) / (every.sx * every.sy))
			}
		}
	}
	return p
}

// jpegOf writes a picture as a JPEG of that kind.
func jpegOf(t testing.TB, m image.Image, k kind) []byte {
	t.Helper()
	c, stop := begin(t.Context())
	defer stop()
	p := planes(t, m, k)
	defer p.free()
	quality := k.quality
	if quality == 0 {
		quality = 95
	}
	e, err := p.jpegWithRestarts(c, quality, k.optimize, k.progressive, k.restart)
	require.NoError(t, err)
	defer e.free()
	return bytes.Clone(e.bytes())
}

// withEXIF puts an orientation into a JPEG.
func withEXIF(original []byte, orientation byte) []byte {
	exif := []byte("\xff\xe1\x00\x22Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00")
	exif[4+6+8+2+9] = orientation
	return append(append([]byte{0xff, 0xd8}, exif...), original[2:]...)
}

// fileOf puts a JPEG into a file.
func fileOf(t testing.TB, original []byte) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), fmt.Sprintf("%d.jpg", len(original)))
	require.NoError(t, os.WriteFile(f, original, 0o600))
	return f
}
