package imaging

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"io"
	"os"
	"syscall"
	"testing"

	lib "github.com/disintegration/imaging"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/ssim"
)

// photograph decodes one of the shared pictures.
func photograph(t testing.TB, name string) image.Image {
	f, err := os.Open(enginetest.Shared(t, "photos", name))
	require.NoError(t, err)
	defer f.Close()
	m, _, err := image.Decode(f)
	require.NoError(t, err)
	return workable(m)
}

// What margin costs, at all sizes between, against a full Lanczos.
func TestScaleIsLikeLanczos(t *testing.T) {
	for _, name := range []string{"nuthatch-2mp.jpg", "kodak-3.png", "kodak-8.png", "kodak-23.png"} {
		m := photograph(t, name)
		size, worst := m.Bounds().Size(), 1.0
		for w := 40; w < size.X+100; w += 1 + w/4 {
			h := max(w*size.Y/size.X, 1)
			got := viewOf(m).scaled(w, h, true)
			require.Equal(t, image.Rect(0, 0, w, h), got.Bounds())
			like, err := ssim.Images(lib.Resize(m, w, h, lib.Lanczos), got)
			require.NoError(t, err)
			worst = min(worst, like)
			assert.Greater(t, like, 0.98, "%s to %d×%d", name, w, h)
		}
		t.Logf("%s: at least %.4f", name, worst)
	}
}

// Scaling a part, turned, is like cutting and turning first.
func TestScaleOfAPartTurned(t *testing.T) {
	m := photograph(t, "nuthatch-2mp.jpg")
	for orientation := 1; orientation <= 8; orientation++ {
		for _, r := range []image.Rectangle{image.Rect(0, 0, 600, 400), image.Rect(301, 203, 902, 604), image.Rect(700, 500, 1200, 1001)} {
			v := viewOf(m).turned(turnOf(orientation)).cut(r)
			got := v.scaled(150, 130, true)
			want := lib.Resize(lib.Crop(v.turn0(m), r), 150, 130, lib.Lanczos)
			like, err := ssim.Images(want, got)
			require.NoError(t, err)
			require.Greater(t, like, 0.97, "orientation %d, %v", orientation, r)
			for x := 15; x < 150; x += 40 {
				for y := 15; y < 130; y += 40 {
					a, b := lib.Crop(want, image.Rect(x-3, y-3, x+3, y+3)), lib.Crop(got, image.Rect(x-3, y-3, x+3, y+3))
					p, q := lib.Resize(a, 1, 1, lib.Box).Pix, lib.Resize(b, 1, 1, lib.Box).Pix
					for c := range 3 {
						require.InDelta(t, p[c], q[c], 8, "orientation %d, %v at %d,%d", orientation, r, x, y)
					}
				}
			}
		}
	}
}

// turn0 turns a whole picture by the library's means.
func (v view) turn0(m image.Image) image.Image {
	if v.turn.flipX {
		m = lib.FlipH(m)
	}
	if v.turn.flipY {
		m = lib.FlipV(m)
	}
	if v.turn.swap {
		m = lib.Transpose(m)
	}
	return m
}

// A transparent surrounding of another colour leaves no fringe.
func TestNoDarkFringes(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 200, 200))
	draw.Draw(m, image.Rect(51, 51, 149, 149), image.NewUniform(color.NRGBA{R: 200, G: 150, B: 100, A: 255}), image.Point{}, draw.Src)
	for _, side := range []int{7, 33, 90, 150, 301} {
		got := viewOf(m).scaled(side, side, false).(*image.NRGBA)
		half := 0
		for i := 0; i < len(got.Pix); i += 4 {
			p := got.Pix[i : i+4]
			if p[3] < 40 {
				continue
			}
			if p[3] < 250 {
				half++
			}
			for c, want := range [3]int{200, 150, 100} {
				require.InDelta(t, want, p[c], 8, "side %d: %v", side, p)
			}
		}
		require.Positive(t, half, "there is an edge at side %d", side)
	}
}

// A flat colour stays what it is: weights add up to one exactly.
func TestFlatStaysFlat(t *testing.T) {
	for _, level := range []uint8{0, 1, 127, 254, 255} {
		p := newPlane(101, 67)
		for i := range p.pix {
			p.pix[i] = level
		}
		for _, size := range []image.Point{{1, 1}, {7, 50}, {100, 66}, {300, 5}, {5, 300}, {33, 22}} {
			for _, v := range scalePlane(p, window{0, 0, 101, 67}, size.X, size.Y).pix {
				require.Equal(t, level, v, size)
			}
		}
	}
}

// The box is the mean of what it covers, also at the rims.
func TestBoxedIsTheMean(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 37, 23))
	for i := range m.Pix {
		m.Pix[i] = uint8(i * 7919 >> 3)
	}
	p := plane{m.Pix, m.Stride, 4 * 37, 23}
	for _, factor := range []int{2, 3, 4, 5, 8, 11, 40, 256} {
		got, pixels := boxed(p, factor), boxedPixels(m, factor)
		for y := range got.h {
			for x := range got.w {
				require.InDelta(t, meanOf(p, x*factor, y*factor, factor, factor, 1), got.pix[y*got.stride+x], 0.51)
			}
			for x := range pixels.Rect.Max.X {
				for c := range 4 {
					require.InDelta(t, meanOf(p, 4*x*factor+c, y*factor, 4*factor, factor, 4), pixels.Pix[y*pixels.Stride+4*x+c], 0.51)
				}
			}
		}
	}
}

func meanOf(p plane, x, y, w, h, step int) float64 {
	sum, n := 0, 0
	for j := y; j < min(y+h, p.h); j++ {
		for i := x; i < min(x+w, p.w); i += step {
			sum, n = sum+int(p.pix[j*p.stride+i]), n+1
		}
	}
	return float64(sum) / float64(n)
}

// processor is the time of all threads so far, in milliseconds.
func processor() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
}

// BenchmarkFit12MP is the yardstick of BenchmarkRender12MP: the same by
// imaging.Fit with its own decoding and encoding.
func BenchmarkFit12MP(b *testing.B) {
	name := enginetest.Shared(b, "photos", "nuthatch-12mp.jpg")
	before := processor()
	b.ReportAllocs()
	for b.Loop() {
		m, err := lib.Open(name)
		require.NoError(b, err)
		require.NoError(b, jpeg.Encode(io.Discard, lib.Fit(m, 800, 800, lib.Lanczos), &jpeg.Options{Quality: 80}))
	}
	b.ReportMetric((processor()-before)/float64(b.N), "cpu-ms/op")
}

// The whole way through the engine, small decoding included, looks like
// imaging.Fit on everything decoded.
func TestRenderIsLikeFit(t *testing.T) {
	m := photograph(t, "nuthatch-12mp.jpg")
	name := enginetest.Shared(t, "photos", "nuthatch-12mp.jpg")
	for _, side := range []int{160, 320, 500, 800, 1000, 1280, 1900} {
		document := fmt.Sprintf(`{"renditions":[{"format":"png","operations":[{"op":"resize","width":%d,"height":%d}]}]}`, side, side)
		report, err := enginetest.Suite{Engine: New()}.RenderFile(t, name, document, engine.Limits{})
		require.NoError(t, err)
		like, err := ssim.Images(lib.Fit(m, side, side, lib.Lanczos), enginetest.Open(t, report.Renditions[0]))
		require.NoError(t, err)
		t.Logf("%d: %.4f", side, like)
		require.Greater(t, like, 0.97, side)
	}
}
