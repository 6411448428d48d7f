package imaging

import (
	"encoding/binary"
	"image"
	"math"
)

// transform turns the colours of one profile into sRGB.
type transform struct {
	linear [3][256]float32 // by channel, from a byte to light
	matrix [9]float32      // from the profile's light to that of sRGB
	bytes  []uint8         // from light, in steps of 1/lightSteps, to a byte
	gray   bool            // the profile is for greys alone
	inks   bool            // it is for four inks: grid has their colours
	grid   *grid           // instead of all above but gray; nil for none
	shades *[256][3]uint8  // instead of all but gray, for a table of greys; nil for none
}

// lightSteps is fine enough that every byte of sRGB can be told from the next.
const lightSteps = 1 << 13

// maxProfile bounds a profile in bytes. Those of colorants and curves have a few
// thousand, those of inks some hundred thousand, and a few millions.
const maxProfile = 4 << 20

// fromD50 is what turns XYZ, adapted to the white D50 as profiles have it, into
// the light of sRGB: the inverse of its published colorants.
var fromD50 = [9]float64{
	3.1338561, -1.6168667, -0.4906146,
	-0.9787684, 1.9161415, 0.0334540,
	0.0719453, -0.2289914, 1.4052427,
}

// newTransform reads a profile for RGB, for greys or for four inks, made of
// tables or of colorants and tone curves. It gives nil for any other, for what is
// damaged, and for one that changes no colour by more than the rounding.
func newTransform(b []byte) *transform {
	if len(b) < 132 || len(b) > maxProfile || string(b[36:40]) != "acsp" {
		return nil
	}
	var t transform
	space := string(b[16:20])
	switch tables := profileTag(b, "A2B0") != nil; {
	case space == "CMYK":
		return newInks(readTable(b, 4))
	case space == "RGB " && tables && t.readCube(b), space == "GRAY" && tables && t.readShades(b):
	case tables:
		return nil // they are what counts, and are damaged
	case space == "RGB " && t.readColors(b), space == "GRAY" && t.readGrays(b):
		t.bytes = make([]uint8, lightSteps+1)
		for i := range t.bytes {
			t.bytes[i] = uint8(255*encodeSRGB(float64(i)/lightSteps) + 0.5)
		}
	default:
		return nil
	}
	if t.changesNothing() {
		return nil
	}
	return &t
}

// newInks makes the way from four inks by a table, nil without one.
func newInks(of *table) *transform {
	if of == nil {
		return nil
	}
	return &transform{inks: true, grid: newGrid(4, ofInks, of.light)}
}

// readCube takes a table for RGB.
func (t *transform) readCube(b []byte) bool {
	of := readTable(b, 3)
	if of == nil {
		return false
	}
	t.grid = newGrid(3, ofColours, of.light)
	return true
}

// readShades takes a table for greys, which may make colours of them.
func (t *transform) readShades(b []byte) bool {
	of := readTable(b, 1)
	if of == nil {
		return false
	}
	t.gray, t.shades = true, new([256][3]uint8)
	for i := range t.shades {
		for c, l := range of.light([4]float64{float64(i) / 255}) {
			t.shades[i][c] = uint8(srgb(l) + 0.5)
		}
	}
	return true
}

// readGrays takes the one curve for all channels, which stay apart: a grey is
// three times the same.
func (t *transform) readGrays(b []byte) bool {
	t.gray = true
	for c := range t.linear {
		if !toneCurve(&t.linear[c], profileTag(b, "kTRC")) {
			return false
		}
		t.matrix[4*c] = 1
	}
	return true
}

func (t *transform) readColors(b []byte) bool {
	var colorants [9]float64
	for c, name := range []string{"r", "g", "b"} {
		xyz := profileTag(b, name+"XYZ")
		if len(xyz) < 20 {
			return false
		}
		for row := range 3 {
			colorants[3*row+c] = fixed16(xyz[8+4*row:])
		}
		if !toneCurve(&t.linear[c], profileTag(b, name+"TRC")) {
			return false
		}
	}
	for row := range 3 {
		for col := range 3 {
			sum := 0.0
			for k := range 3 {
				sum += fromD50[3*row+k] * colorants[3*k+col]
			}
			t.matrix[3*row+col] = float32(sum)
		}
	}
	return true
}

// encodeSRGB is the tone curve of sRGB, from light to value.
func encodeSRGB(v float64) float64 {
	if v <= 0.0031308 {
		return 12.92 * v
	}
	return 1.055*math.Pow(v, 1/2.4) - 0.055
}

// changesNothing tries the corners, edges and middles of the colour cube.
func (t *transform) changesNothing() bool {
	for i := range 125 {
		c := [3]uint8{uint8(i % 5 * 63), uint8(i / 5 % 5 * 63), uint8(i / 25 * 63)}
		r, g, b := t.color(c[0], c[1], c[2])
		for j, v := range [3]uint8{r, g, b} {
			if d := int(v) - int(c[j]); d > 2 || d < -2 {
				return false
			}
		}
	}
	return true
}

// color turns one colour. What sRGB cannot show is brought to its edge.
func (t *transform) color(r, g, b uint8) (uint8, uint8, uint8) {
	switch {
	case t.shades != nil:
		return t.shades[r][0], t.shades[g][1], t.shades[b][2]
	case t.grid != nil:
		return t.grid.color(r, g, b)
	}
	x, y, z := t.linear[0][r], t.linear[1][g], t.linear[2][b]
	m := &t.matrix
	return t.value(m[0]*x + m[1]*y + m[2]*z), t.value(m[3]*x + m[4]*y + m[5]*z), t.value(m[6]*x + m[7]*y + m[8]*z)
}

// applyGray is apply for greys and their profile.
func (t *transform) applyGray(m *image.Gray) *image.Gray {
	out := image.NewGray(image.Rectangle{Max: m.Rect.Size()})
	for y := range out.Rect.Max.Y {
		dst := out.Pix[y*out.Stride:][:out.Stride]
		for x, v := range m.Pix[y*m.Stride:][:len(dst)] {
			dst[x] = t.value(t.linear[0][v])
		}
	}
	return out
}

func (t *transform) value(light float32) uint8 {
	return t.bytes[int(min(max(light, 0), 1)*lightSteps+0.5)]
}

// apply gives a picture in sRGB. Greys have no colours to turn: a profile for
// RGB does not apply to them.
func (t *transform) apply(m image.Image) image.Image {
	if m, ok := m.(*image.CMYK); ok && t.inks {
		return t.grid.applyInks(m)
	}
	gray, ok := m.(*image.Gray)
	switch {
	case t.inks: // a picture without inks
		return m
	case ok && t.shades != nil: // may become colours
	case ok && t.gray:
		return t.applyGray(gray)
	case ok:
		return gray
	}
	from := pixelsOf(m)
	out := image.NewNRGBA(image.Rectangle{Max: from.Rect.Size()})
	var last [3]uint8
	var r, g, b uint8
	r, g, b = t.color(0, 0, 0)
	for y := range out.Rect.Max.Y {
		src, dst := from.Pix[y*from.Stride:][:out.Stride], out.Pix[y*out.Stride:][:out.Stride]
		for len(src) >= 4 && len(dst) >= 4 {
			if c := [3]uint8(src[:3]); c != last {
				last = c
				r, g, b = t.color(c[0], c[1], c[2])
			}
			dst[0], dst[1], dst[2], dst[3] = r, g, b, src[3]
			src, dst = src[4:], dst[4:]
		}
	}
	return out
}

// profileTag gives a tag's data; nil when it is not wholly there.
func profileTag(b []byte, name string) []byte {
	const maxTags = 100
	for i := range min(int(binary.BigEndian.Uint32(b[128:])), maxTags) {
		row := 132 + 12*i
		if row+12 > len(b) {
			return nil
		}
		at, size := int64(binary.BigEndian.Uint32(b[row+4:])), int64(binary.BigEndian.Uint32(b[row+8:]))
		if string(b[row:row+4]) == name && at+size <= int64(len(b)) {
			return b[at : at+size]
		}
	}
	return nil
}
