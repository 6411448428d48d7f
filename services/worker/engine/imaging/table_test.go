package imaging

import (
	"encoding/binary"
	"image"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine/enginetest"
)

// wanted is the byte of sRGB for a colour given as parts of white.
func wanted(c [3]float64) (out [3]float64) {
	for i := range c {
		c[i] *= whiteD50[i]
	}
	for i, l := range lightOf(c) {
		out[i] = srgb(l)
	}
	return out
}

// Profiles of every kind of table, made by code, show what they were made of.
func TestTables(t *testing.T) {
	random := uint32(1)
	for _, kind := range enginetest.InkProfiles() {
		tr := newTransform(enginetest.InkProfile(kind))
		require.NotNil(t, tr, kind)
		m := image.NewCMYK(image.Rect(0, 0, 64, 64))
		for i := range m.Pix {
			random = random*1664525 + 1013904223
			m.Pix[i] = uint8(random >> 24)
		}
		got := tr.apply(m).(*image.NRGBA)
		var far distances
		for i := 0; i < len(m.Pix); i += 4 {
			v := make([]float64, 4)
			for c := range v {
				v[c] = float64(m.Pix[i+c]) / 255
			}
			for c, w := range wanted(enginetest.InkColour(v)) {
				far.add(w, got.Pix[i+c])
			}
		}
		far.check(t, kind)
	}
}

// distances are how far bytes are from what they should be. Between the points of
// a profile they may be off, most where sRGB ends.
type distances []float64

func (d *distances) add(want float64, got uint8) { *d = append(*d, math.Abs(want-float64(got))) }

func (d distances) check(t *testing.T, kind string) {
	t.Helper()
	sum := 0.0
	for _, v := range d {
		sum += v
	}
	slices.Sort(d)
	mean, most := sum/float64(len(d)), d[len(d)*99/100]
	t.Logf("%s: off by %.2f, 99 of 100 by at most %.1f", kind, mean, most)
	assert.Less(t, mean, 1.0, kind)
	assert.Less(t, most, 12.0, kind)
}

// colourOf is what three filters in the colours of inks let through, and greyOf
// what one does.
func colourOf(v []float64) [3]float64 {
	return enginetest.InkColour([]float64{1 - v[0], 1 - v[1], 1 - v[2]})
}

func greyOf(v []float64) [3]float64 { return [3]float64{v[0], 0.9 * v[0], 0.7 * v[0]} }

func TestTablesOfOtherSpaces(t *testing.T) {
	for _, kind := range enginetest.InkProfiles() {
		tr := newTransform(enginetest.TableProfile(kind, "RGB ", 17, colourOf))
		require.NotNil(t, tr, kind)
		gray := newTransform(enginetest.TableProfile(kind, "GRAY", 255, greyOf))
		require.NotNil(t, gray, kind)
		var colours, greys distances
		for v := range 256 {
			r, g, b := tr.color(uint8(v), uint8(255-v), 77)
			want := wanted(colourOf([]float64{float64(v) / 255, float64(255-v) / 255, 77. / 255}))
			for c, got := range [3]uint8{r, g, b} {
				colours.add(want[c], got)
			}
			m := image.NewGray(image.Rect(0, 0, 1, 1))
			m.Pix[0] = uint8(v)
			got := gray.apply(m).(*image.NRGBA)
			for c, w := range wanted(greyOf([]float64{float64(v) / 255})) {
				greys.add(w, got.Pix[c])
			}
		}
		colours.check(t, kind)
		greys.check(t, kind+" of greys")
	}
}

// A profile that ends anywhere, or says anything of its sizes, is refused or read;
// it never leads out of its bytes, and allocates no more than its grid.
func TestDamagedTables(t *testing.T) {
	m := image.NewCMYK(image.Rect(0, 0, 3, 3))
	for i := range m.Pix {
		m.Pix[i] = uint8(31 * i)
	}
	for _, kind := range enginetest.InkProfiles() {
		whole := enginetest.TableProfile(kind, "CMYK", 3, enginetest.InkColour)
		for n := range whole {
			if tr := newTransform(whole[:n]); tr != nil {
				require.Failf(t, "read without its end", "%s: %d of %d bytes", kind, n, len(whole))
			}
		}
		for at := 128; at < 260; at++ {
			for _, v := range []uint32{0, 1, 0x7fffffff, 0xffffffff, 0x00010000} {
				b := append([]byte(nil), whole...)
				binary.BigEndian.PutUint32(b[at:], v)
				if tr := newTransform(b); tr != nil {
					tr.apply(m)
				}
			}
		}
	}
	require.Nil(t, newTransform(enginetest.InkProfile("lut8")[:132]))
}
