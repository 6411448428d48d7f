package imaging

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine/enginetest"
)

var fit = flag.Bool("fit", false, "work out the numbers of usualInks by the vips command, and print them")

// TestFitUsualInks is where the numbers of usualInks come from: an exact fit of
// what patches of ink look like, in XYZ, weighed by what the eye sees of it, for
// the gains by which it comes out best.
func TestFitUsualInks(t *testing.T) {
	if !*fit {
		t.Skip("numbers are made anew with -fit only")
	}
	f := newFit(t)
	var gains [4]float64
	best := f.error(t, gains)
	for step := 0.08; step > 0.004; step /= 2 {
		for better := true; better; {
			better = false
			for i := range gains {
				for _, d := range []float64{step, -step} {
					try := gains
					try[i] += d
					if e := f.error(t, try); e < best {
						best, gains, better = e, try, true
					}
				}
			}
		}
	}
	f.error(t, gains)
	var out strings.Builder
	fmt.Fprintf(&out, "%.3f\n", gains)
	for i, p := range f.points {
		fmt.Fprintf(&out, "{%.0f, %.0f, %.0f}, ", inkScale*p[0], inkScale*p[1], inkScale*p[2])
		if i%9 == 8 {
			out.WriteByte('\n')
		}
	}
	t.Logf("error %g\n%s", best, out.String())
}

// inkFit holds patches and their colours.
type inkFit struct {
	patches [][4]float64
	weights []float64
	xyz     [][3]float64 // what inkPoints are mixed as
	points  [81][3]float64
}

// newFit takes patches of all inks and of those that vips prints colours with, and
// how they look by the profile that it has for them.
func newFit(t *testing.T) *inkFit {
	f := &inkFit{}
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	raw := cube(4, 9)
	patches := len(raw) / 4
	require.NoError(t, os.WriteFile(file("rgb"), cube(3, 17), 0o600))
	enginetest.Command(t, "vips", "rawload", file("rgb"), file("a.v"), "4913", "1", "3")
	enginetest.Command(t, "vips", "copy", file("a.v"), file("b.v"), "--interpretation", "srgb")
	enginetest.Command(t, "vips", "icc_transform", file("b.v"), file("c.v"), "cmyk", "--input-profile", "srgb")
	enginetest.Command(t, "vips", "rawsave", file("c.v"), file("inks"))
	printed, err := os.ReadFile(file("inks"))
	require.NoError(t, err)
	raw = append(raw, printed...)
	enginetest.Command(t, "vips", "copy", file("c.v"), file("c.jpg"))
	labelled, err := os.ReadFile(file("c.jpg"))
	require.NoError(t, err)
	of := readTable(jpegProfile(labelled), 4)
	require.NotNil(t, of)
	for i := 0; i < len(raw); i += 4 {
		p := [4]float64{float64(raw[i]) / 255, float64(raw[i+1]) / 255, float64(raw[i+2]) / 255, float64(raw[i+3]) / 255}
		ink, weight := p[0]+p[1]+p[2]+p[3], 0.5
		if i/4 < patches { // of which those with much ink are never printed
			weight = 1 / (0.5 + 0.3*ink*ink)
		}
		if ink == 0 {
			weight = 1e6 // white must be right
		}
		xyz := of.xyz(p)
		for c, v := range xyz {
			xyz[c] = math.Pow(max(v/whiteD50[c], 0), 1/yuleNielsen)
		}
		f.patches, f.weights, f.xyz = append(f.patches, p), append(f.weights, weight), append(f.xyz, xyz)
	}
	return f
}

// error works out the points for gains, and tells how far off they are.
func (f *inkFit) error(t *testing.T, gains [4]float64) float64 {
	var sum float64
	for c := range 3 {
		var a [81][82]float64
		for i, p := range f.patches {
			at, share := mixture(p, gains)
			weight := f.weight(i, c)
			for j, r := range at {
				for k, col := range at {
					a[r][col] += weight * share[j] * share[k]
				}
				a[r][81] += weight * share[j] * f.xyz[i][c]
			}
		}
		solveInks(&a)
		for i := range f.points {
			f.points[i][c] = a[i][81]
		}
		for i, p := range f.patches {
			at, share := mixture(p, gains)
			off := -f.xyz[i][c]
			for j, r := range at {
				off += share[j] * f.points[r][c]
			}
			sum += f.weight(i, c) * off * off
		}
	}
	require.False(t, math.IsNaN(sum))
	return sum
}

// weight is how much a difference of a patch counts: the eye sees about the cube
// root of light.
func (f *inkFit) weight(i, c int) float64 {
	const power = yuleNielsen/3 - 1 // of the slope of that, seen from the root that is fitted
	return math.Pow(max(f.xyz[i][c], 0.01), 2*power) * f.weights[i]
}

// cube gives all mixtures of n levels of each channel.
func cube(channels, n int) (out []byte) {
	for i := range int(math.Pow(float64(n), float64(channels))) {
		for c := range channels {
			out = append(out, uint8(i/int(math.Pow(float64(n), float64(channels-1-c)))%n*255/(n-1)))
		}
	}
	return out
}

// solveInks eliminates; the result takes the last column.
func solveInks(a *[81][82]float64) {
	for i := range a {
		a[i][i] += 1e-9
		for r := range a {
			if r == i || a[r][i] == 0 {
				continue
			}
			f := a[r][i] / a[i][i]
			for c := i; c < 82; c++ {
				a[r][c] -= f * a[i][c]
			}
		}
	}
	for i := range a {
		a[i][81] /= a[i][i]
	}
}
