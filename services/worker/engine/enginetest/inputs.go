package enginetest

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/image/tiff"
)

// inputs reads one picture out of every way to store pixels that code can write:
// it comes out the same.
func (s conformance) inputs(t *testing.T) {
	m := Scene(90, 60)
	deep, gray, gray16, indexed := image.NewNRGBA64(m.Rect), image.NewGray(m.Rect), image.NewGray16(m.Rect), image.NewPaletted(m.Rect, nil)
	for _, to := range []draw.Image{deep, gray, gray16} {
		draw.Draw(to, m.Rect, m, image.Point{}, draw.Src)
	}
	for i := range 256 {
		indexed.Palette = append(indexed.Palette, color.NRGBA{R: uint8(i), G: uint8(i * 7), B: uint8(255 - i), A: 255})
	}
	for i := range indexed.Pix {
		indexed.Pix[i] = uint8(i % 90 * 2)
	}
	alpha := image.NewNRGBA(m.Rect)
	copy(alpha.Pix, m.Pix)
	for i := 3; i < len(alpha.Pix); i += 4 {
		alpha.Pix[i] = uint8(255 - i/4%90*2)
	}
	var tagged, tagged16 bytes.Buffer
	require.NoError(t, tiff.Encode(&tagged, m, &tiff.Options{Compression: tiff.Deflate, Predictor: true}))
	require.NoError(t, tiff.Encode(&tagged16, deep, nil))
	for name, c := range map[string]struct {
		original []byte
		want     image.Image
	}{
		"png": {PNG(t, m), m}, "png of 16 bits": {PNG(t, deep), m}, "grey": {PNG(t, gray), gray}, "grey of 16 bits": {PNG(t, gray16), gray},
		"palette": {PNG(t, indexed), indexed}, "alpha": {PNG(t, alpha), alpha}, "tiff": {tagged.Bytes(), m}, "tiff of 16 bits": {tagged16.Bytes(), m},
		"jpeg in grey": {JPEG(t, gray, 0), gray}, "jpeg": {JPEG(t, m, 0), m},
	} {
		got := s.Picture(t, c.original, "[]")
		require.Equal(t, c.want.Bounds().Size(), got.Bounds().Size(), name)
		within := 1
		if bytes.HasPrefix(c.original, []byte{0xff, 0xd8}) {
			within = 100 // colours run at the edge of the circle
		}
		for y := 3; y < 60; y += 9 {
			for x := 3; x < 90; x += 9 {
				if seen := at(c.want, x, y); seen.A > 0 {
					near(t, seen, at(got, x, y), within, name, x, y)
				}
			}
		}
		half := s.Picture(t, c.original, `[{"op":"resize","percent":50}]`)
		near(t, mean(flattened(c.want)), mean(flattened(half)), 2, name)
	}
}

// flattened lays a picture over black, so that hidden colours do not count.
func flattened(m image.Image) image.Image {
	out := image.NewRGBA(image.Rectangle{Max: m.Bounds().Size()})
	draw.Draw(out, out.Rect, m, m.Bounds().Min, draw.Src)
	return out
}

// space is a colour space made of colorants and one tone curve.
type space struct {
	name  string
	xyz   [9]float64 // red, green, blue, adapted to D50
	gamma float64    // 0: the curve of sRGB
}

// spaces are those that cameras and phones write, with their published figures.
func spaces() []space {
	return []space{
		{"Display P3", [9]float64{0.51512, 0.24120, -0.00105, 0.29198, 0.69225, 0.04189, 0.15710, 0.06657, 0.78407}, 0},
		{"Adobe RGB", [9]float64{0.60974, 0.31111, 0.01947, 0.20528, 0.62567, 0.06087, 0.14919, 0.06322, 0.74457}, 563. / 256},
		{"sRGB", [9]float64{0.43607, 0.22249, 0.01392, 0.38515, 0.71687, 0.09708, 0.14307, 0.06061, 0.71410}, 0},
	}
}

// profile writes the space as an ICC profile.
func (s space) profile() []byte {
	fixed := func(v float64) []byte { return binary.BigEndian.AppendUint32(nil, uint32(int32(math.Round(v*65536)))) }
	curve := append([]byte("para\x00\x00\x00\x00\x00\x03\x00\x00"), bytes.Join([][]byte{
		fixed(2.4), fixed(1 / 1.055), fixed(0.055 / 1.055), fixed(1 / 12.92), fixed(0.04045)}, nil)...)
	if s.gamma != 0 {
		curve = append([]byte("curv\x00\x00\x00\x00\x00\x00\x00\x01"), byte(s.gamma), byte(math.Round(s.gamma*256)), 0, 0)
	}
	names := []string{"rXYZ", "gXYZ", "bXYZ", "wtpt", "rTRC", "gTRC", "bTRC"}
	bodies := make([][]byte, 0, len(names))
	for _, v := range append(s.xyz[:len(s.xyz):len(s.xyz)], 0.9642, 1, 0.8249) {
		if n := len(bodies); n == 0 || len(bodies[n-1]) == 20 {
			bodies = append(bodies, []byte("XYZ \x00\x00\x00\x00"))
		}
		bodies[len(bodies)-1] = append(bodies[len(bodies)-1], fixed(v)...)
	}
	bodies = append(bodies, curve, curve, curve)
	head := make([]byte, 128)
	copy(head[8:], "\x02\x40\x00\x00mntrRGB XYZ ")
	copy(head[36:], "acsp")
	copy(head[68:], bytes.Join([][]byte{fixed(0.9642), fixed(1), fixed(0.8249)}, nil))
	table := binary.BigEndian.AppendUint32(nil, uint32(len(names)))
	offset := 128 + 4 + 12*len(names)
	for i, n := range names {
		table = append(table, n...)
		table = binary.BigEndian.AppendUint32(table, uint32(offset))
		table = binary.BigEndian.AppendUint32(table, uint32(len(bodies[i])))
		offset += len(bodies[i])
	}
	out := bytes.Join(append([][]byte{head, table}, bodies...), nil)
	binary.BigEndian.PutUint32(out, uint32(len(out)))
	return out
}

// of gives the value of a colour of sRGB in the space, to the nearest byte.
func (s space) of(c color.NRGBA) color.NRGBA {
	light := func(v uint8) float64 {
		f := float64(v) / 255
		if f <= 0.04045 {
			return f / 12.92
		}
		return math.Pow((f+0.055)/1.055, 2.4)
	}
	from := spaces()[2].xyz
	var xyz [3]float64
	for i, v := range [3]float64{light(c.R), light(c.G), light(c.B)} {
		for row := range 3 {
			xyz[row] += v * from[3*i+row]
		}
	}
	rgb := solve(s.xyz, xyz)
	value := func(v float64) uint8 {
		v = min(max(v, 0), 1)
		if s.gamma != 0 {
			return uint8(255*math.Pow(v, 1/s.gamma) + 0.5)
		}
		if v <= 0.0031308 {
			return uint8(255*12.92*v + 0.5)
		}
		return uint8(255*(1.055*math.Pow(v, 1/2.4)-0.055) + 0.5)
	}
	return color.NRGBA{R: value(rgb[0]), G: value(rgb[1]), B: value(rgb[2]), A: c.A}
}

// solve finds how much of three colorants makes a colour (Cramer's rule).
func solve(m [9]float64, to [3]float64) [3]float64 {
	det := func(a, b, c [3]float64) float64 {
		return a[0]*(b[1]*c[2]-b[2]*c[1]) - b[0]*(a[1]*c[2]-a[2]*c[1]) + c[0]*(a[1]*b[2]-a[2]*b[1])
	}
	r, g, b := [3]float64(m[0:3]), [3]float64(m[3:6]), [3]float64(m[6:9])
	d := det(r, g, b)
	return [3]float64{det(to, g, b) / d, det(r, to, b) / d, det(r, g, to) / d}
}

// profiles reads a picture out of other colour spaces: it comes out in sRGB as
// it looked.
func (s conformance) profiles(t *testing.T) {
	want := Scene(90, 60)
	for _, space := range spaces() {
		stored := image.NewNRGBA(want.Rect)
		for i := 0; i < len(want.Pix); i += 4 {
			c := space.of(color.NRGBA{R: want.Pix[i], G: want.Pix[i+1], B: want.Pix[i+2], A: 255})
			stored.Pix[i], stored.Pix[i+1], stored.Pix[i+2], stored.Pix[i+3] = c.R, c.G, c.B, 255
		}
		b := PNG(t, stored)
		var packed bytes.Buffer
		w := zlib.NewWriter(&packed)
		_, err := w.Write(space.profile())
		require.NoError(t, err)
		require.NoError(t, w.Close())
		const ihdrEnd = 8 + 25
		original := bytes.Join([][]byte{b[:ihdrEnd], chunk("iCCP", append([]byte("x\x00\x00"), packed.Bytes()...)), b[ihdrEnd:]}, nil)
		var photo bytes.Buffer
		require.NoError(t, jpeg.Encode(&photo, stored, &jpeg.Options{Quality: 98}))
		body := append([]byte("ICC_PROFILE\x00\x01\x01"), space.profile()...)
		app2 := binary.BigEndian.AppendUint16([]byte{0xff, 0xe2}, uint16(2+len(body)))
		tagged := bytes.Join([][]byte{photo.Bytes()[:2], app2, body, photo.Bytes()[2:]}, nil)
		for _, document := range []string{"[]", `[{"op":"resize","width":90},{"op":"flip","vertical":true},{"op":"flip","vertical":true}]`} {
			got := s.Picture(t, original, document)
			fromPhoto := s.Picture(t, tagged, document)
			for y := 5; y < 60; y += 7 {
				for x := 5; x < 90; x += 7 {
					near(t, at(want, x, y), at(got, x, y), 4, space.name, x, y)
				}
			}
			near(t, mean(want), mean(got), 1, space.name)
			near(t, mean(want), mean(fromPhoto), 2, space.name, "jpeg")
		}
		smaller := s.Picture(t, tagged, `[{"op":"resize","width":30}]`)
		near(t, mean(want), mean(smaller), 2, space.name, "jpeg made smaller")
	}
}

// DisplayP3 is an ICC profile of the screens of phones.
func DisplayP3() []byte { return spaces()[0].profile() }
