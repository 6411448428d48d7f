package enginetest

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"

	"github.com/stretchr/testify/require"
)

// The colours of Quadrants, none of which is its own mirror in red and blue.
var (
	red    = color.NRGBA{R: 220, G: 20, B: 30, A: 255}
	green  = color.NRGBA{R: 10, G: 180, B: 60, A: 255}
	blue   = color.NRGBA{R: 30, G: 40, B: 210, A: 255}
	yellow = color.NRGBA{R: 240, G: 230, B: 20, A: 255}
)

// Quadrants is a picture of four colours: red and green above, blue and yellow
// below.
func Quadrants(w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := [2][2]color.NRGBA{{red, green}, {blue, yellow}}[2*y/h][2*x/w]
			m.SetNRGBA(x, y, c)
		}
	}
	return m
}

// corners gives the colours near the four corners: top left, top right, bottom
// left, bottom right.
func corners(m image.Image) [4]color.NRGBA {
	b := m.Bounds()
	dx, dy := b.Dx()/8, b.Dy()/8
	return [4]color.NRGBA{
		at(m, dx, dy), at(m, b.Dx()-1-dx, dy), at(m, dx, b.Dy()-1-dy), at(m, b.Dx()-1-dx, b.Dy()-1-dy),
	}
}

// at gives a pixel by its distance from the top left.
func at(m image.Image, x, y int) color.NRGBA {
	return color.NRGBAModel.Convert(m.At(m.Bounds().Min.X+x, m.Bounds().Min.Y+y)).(color.NRGBA)
}

// near compares colours to within a difference per channel.
func near(t testing.TB, want, got color.NRGBA, within int, msg ...any) {
	t.Helper()
	for i, d := range [4]int{int(want.R) - int(got.R), int(want.G) - int(got.G), int(want.B) - int(got.B), int(want.A) - int(got.A)} {
		if d > within || -d > within {
			require.Fail(t, "colours differ", "want %v, got %v (channel %d) %v", want, got, i, msg)
		}
	}
}

// mean is the mean colour of a picture, alpha left out.
func mean(m image.Image) color.NRGBA {
	var r, g, b, n uint64
	for y := m.Bounds().Min.Y; y < m.Bounds().Max.Y; y++ {
		for x := m.Bounds().Min.X; x < m.Bounds().Max.X; x++ {
			cr, cg, cb, _ := m.At(x, y).RGBA()
			r, g, b, n = r+uint64(cr>>8), g+uint64(cg>>8), b+uint64(cb>>8), n+1
		}
	}
	return color.NRGBA{R: uint8(r / n), G: uint8(g / n), B: uint8(b / n), A: 255}
}

// PNG encodes a picture.
func PNG(t testing.TB, m image.Image) []byte {
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, m))
	return b.Bytes()
}

// JPEG encodes a picture at a quality of 95, with an EXIF orientation and a GPS
// tag when orientation is not 0.
func JPEG(t testing.TB, m image.Image, orientation int) []byte {
	var b bytes.Buffer
	require.NoError(t, jpeg.Encode(&b, m, &jpeg.Options{Quality: 95}))
	if orientation == 0 {
		return b.Bytes()
	}
	body := append([]byte("Exif\x00\x00"), exif(orientation)...)
	app1 := binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(2+len(body)))
	return bytes.Join([][]byte{b.Bytes()[:2], app1, body, b.Bytes()[2:]}, nil)
}

// exif is a TIFF structure with an orientation and a mark to look for.
func exif(orientation int) []byte {
	b := []byte("MM\x00*\x00\x00\x00\x08\x00\x02")
	b = append(b, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, byte(orientation), 0, 0)
	b = append(b, 0x88, 0x25, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0)
	return append(b, "\x00\x00\x00\x00GPS-SECRET"...)
}

// PNGWithExif is a PNG with an eXIf chunk.
func PNGWithExif(t testing.TB, m image.Image, orientation int) []byte {
	b := PNG(t, m)
	const ihdrEnd = 8 + 25
	return bytes.Join([][]byte{b[:ihdrEnd], chunk("eXIf", exif(orientation)), b[ihdrEnd:]}, nil)
}

// chunk is one chunk of a PNG.
func chunk(kind string, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = append(append(b, kind...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// ClaimingPNG is a PNG of one pixel whose header says w×h.
func ClaimingPNG(t testing.TB, w, h int) []byte {
	b := PNG(t, image.NewGray(image.Rect(0, 0, 1, 1)))
	header := bytes.Clone(b[16:29])
	binary.BigEndian.PutUint32(header, uint32(w))
	binary.BigEndian.PutUint32(header[4:], uint32(h))
	return bytes.Join([][]byte{b[:8], chunk("IHDR", header), b[33:]}, nil)
}

// ClaimingJPEG is a JPEG of one pixel whose header says w×h.
func ClaimingJPEG(t testing.TB, w, h int) []byte {
	b := JPEG(t, image.NewGray(image.Rect(0, 0, 1, 1)), 0)
	sof := bytes.Index(b, []byte{0xff, 0xc0})
	require.Positive(t, sof)
	binary.BigEndian.PutUint16(b[sof+5:], uint16(h))
	binary.BigEndian.PutUint16(b[sof+7:], uint16(w))
	return b
}

// Animation is a GIF of n frames, the first of which covers only a part of the
// 8×8 screen.
func Animation(t testing.TB, n int) []byte {
	frame := func(r image.Rectangle, c color.Color) *image.Paletted {
		return image.NewPaletted(r, color.Palette{c, color.Black})
	}
	g := gif.GIF{Config: image.Config{Width: 8, Height: 8}}
	for i := range n {
		c, r := color.Color(green), image.Rect(0, 0, 8, 8)
		if i == 0 {
			c, r = red, image.Rect(4, 4, 8, 8)
		}
		g.Image, g.Delay = append(g.Image, frame(r, c)), append(g.Delay, 1)
	}
	var b bytes.Buffer
	require.NoError(t, gif.EncodeAll(&b, &g))
	return b.Bytes()
}
