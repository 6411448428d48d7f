package smalljpeg_test

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	lib "github.com/disintegration/imaging"
	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/smalljpeg"
	"imagemill/services/worker/engine/ssim"
)

func photographs(t testing.TB) map[string][]byte {
	dir := enginetest.Shared(t, "photos")
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.jpg"))
	require.NoError(t, err)
	out := map[string][]byte{}
	for _, name := range append(files, filepath.Join(dir, "nuthatch-2mp.jpg"), filepath.Join(dir, "dragonfly.jpg")) {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		out[filepath.Base(name)] = b
	}
	return out
}

// What comes out is the whole picture made smaller: its planes are compared with
// those of the standard library's decoder, made smaller by a good filter.
func TestLikeTheWholeMadeSmaller(t *testing.T) {
	read := 0
	for name, b := range photographs(t) {
		whole, err := jpeg.Decode(bytes.NewReader(b))
		require.NoError(t, err)
		size := whole.Bounds().Size()
		for _, shrink := range []int{2, 4, 8} {
			got := smalljpeg.Decode(b, shrink, size.X, size.Y)
			if got == nil {
				continue
			}
			read++
			w, h := (size.X+shrink-1)/shrink, (size.Y+shrink-1)/shrink
			require.Equal(t, image.Rect(0, 0, w, h), got.Bounds(), name)
			want := lib.Resize(whole, w, h, lib.Box)
			like, err := ssim.Images(want, got)
			require.NoError(t, err)
			require.Greater(t, like, 0.95, "%s at 1/%d", name, shrink)
			a, c := lib.Resize(want, 1, 1, lib.Box).Pix, lib.Resize(got, 1, 1, lib.Box).Pix
			for i := range 3 {
				require.InDelta(t, a[i], c[i], 2, "%s at 1/%d", name, shrink)
			}
		}
	}
	require.Greater(t, read, 30, "most photographs are read")
}

// Flat colours, odd sizes, greys and all amounts of blocks come out exactly.
func TestSizesAndGreys(t *testing.T) {
	for _, size := range []image.Point{{1, 1}, {7, 9}, {8, 8}, {16, 16}, {17, 33}, {100, 3}, {101, 99}} {
		for _, m := range []image.Image{enginetest.Quadrants(size.X, size.Y), image.NewGray(image.Rect(0, 0, size.X, size.Y))} {
			var b bytes.Buffer
			require.NoError(t, jpeg.Encode(&b, m, &jpeg.Options{Quality: 95}))
			for _, shrink := range []int{2, 4, 8} {
				got := smalljpeg.Decode(b.Bytes(), shrink, size.X, size.Y)
				require.NotNil(t, got, size)
				require.Equal(t, (size.X+shrink-1)/shrink, got.Bounds().Dx())
				want := m.At(0, 0)
				if size.X > 64 && size.Y > 64 {
					want = m.At(1, 1)
				} else if _, gray := m.(*image.Gray); !gray {
					continue
				}
				r, g, bl, _ := want.RGBA()
				r2, g2, b2, _ := got.At(0, 0).RGBA()
				require.InDelta(t, r>>8, r2>>8, 12)
				require.InDelta(t, g>>8, g2>>8, 12)
				require.InDelta(t, bl>>8, b2>>8, 12)
			}
		}
	}
}

// What is not read here, or is not whole, is left to others.
func TestNoIsSaid(t *testing.T) {
	b := enginetest.JPEG(t, enginetest.Quadrants(64, 64), 6)
	require.NotNil(t, smalljpeg.Decode(b, 2, 64, 64))
	require.Nil(t, smalljpeg.Decode(b, 2, 64, 65), "another size")
	require.Nil(t, smalljpeg.Decode(b, 3, 64, 64))
	require.Nil(t, smalljpeg.Decode(nil, 2, 64, 64))
	require.Nil(t, smalljpeg.Decode(enginetest.PNG(t, enginetest.Quadrants(64, 64)), 2, 64, 64))
	for n := range len(b) - 30 {
		require.Nil(t, smalljpeg.Decode(b[:n], 2, 64, 64), "%d bytes of %d", n, len(b))
	}
	progressive := bytes.Replace(b, []byte{0xff, 0xc0}, []byte{0xff, 0xc2}, 1)
	require.Nil(t, smalljpeg.Decode(progressive, 2, 64, 64))
}

// Nothing that anybody writes into a file is a panic, and what is read has the
// size that was asked for.
func FuzzDecode(f *testing.F) {
	f.Add(enginetest.JPEG(f, enginetest.Quadrants(33, 17), 0))
	f.Add(enginetest.JPEG(f, image.NewGray(image.Rect(0, 0, 9, 9)), 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, shrink := range []int{2, 4, 8} {
			if m := smalljpeg.Decode(b, shrink, 33, 17); m != nil {
				require.Equal(t, image.Rect(0, 0, (33+shrink-1)/shrink, (17+shrink-1)/shrink), m.Bounds())
				_ = m.At(m.Bounds().Max.X-1, m.Bounds().Max.Y-1)
			}
		}
	})
}

func BenchmarkDecode12MP(b *testing.B) {
	photo, err := os.ReadFile(enginetest.Shared(b, "photos", "nuthatch-12mp.jpg"))
	require.NoError(b, err)
	for _, shrink := range []int{2, 4, 8} {
		b.Run(fmt.Sprint("1/", shrink), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				require.NotNil(b, smalljpeg.Decode(photo, shrink, 4000, 3000))
			}
		})
	}
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := jpeg.Decode(bytes.NewReader(photo))
			require.NoError(b, err)
		}
	})
}

// Inks come out as the standard library has them, whose sources hold a picture in
// both ways of storing them.
func TestInks(t *testing.T) {
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("the go command is not here: %v", err)
	}
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "src", "image", "testdata", "video-001.cmyk.jpeg"))
	if err != nil {
		t.Skipf("the sources of Go are not here: %v", err)
	}
	adobe := bytes.Index(b, []byte("\xff\xee\x00\x0eAdobe"))
	require.Positive(t, adobe)
	// Read as YCCK, the file has colours that do not exist; they are cut off before
	// they are averaged, or after it.
	for transform, within := range map[byte]float64{0: 4, 2: 8} {
		b[adobe+15] = transform
		m, err := jpeg.Decode(bytes.NewReader(b))
		require.NoError(t, err)
		whole, size := m.(*image.CMYK), m.Bounds().Size()
		for _, shrink := range []int{2, 4, 8} {
			got, ok := smalljpeg.Decode(b, shrink, size.X, size.Y).(*image.CMYK)
			require.True(t, ok, "transform %d at 1/%d", transform, shrink)
			require.Equal(t, image.Rect(0, 0, (size.X+shrink-1)/shrink, (size.Y+shrink-1)/shrink), got.Rect)
			var off int
			for y := range size.Y / shrink {
				for x := range size.X / shrink {
					for c := range 4 {
						sum := 0
						for i := range shrink * shrink {
							sum += int(whole.Pix[whole.PixOffset(x*shrink+i%shrink, y*shrink+i/shrink)+c])
						}
						d := sum/(shrink*shrink) - int(got.Pix[got.PixOffset(x, y)+c])
						off += max(d, -d)
					}
				}
			}
			require.Less(t, float64(off)/float64(4*(size.X/shrink)*(size.Y/shrink)), within, "transform %d at 1/%d", transform, shrink)
		}
	}
	require.Nil(t, smalljpeg.Decode(append(b[:adobe:adobe], b[adobe+16:]...), 2, 150, 103), "nothing says how inks are stored")
}
