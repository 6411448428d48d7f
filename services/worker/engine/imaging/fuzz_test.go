package imaging

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
)

// The readers of orientation and frames look at bytes that nobody has checked.
func FuzzHeaders(f *testing.F) {
	f.Add(enginetest.JPEG(f, enginetest.Quadrants(4, 4), 6))
	f.Add(enginetest.PNGWithExif(f, enginetest.Quadrants(4, 4), 3))
	f.Add(enginetest.Animation(f, 3))
	f.Add([]byte("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x08\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, o := range []int{tiffOrientation(b), tiffOrientation(jpegExif(b)), tiffOrientation(pngExif(b))} {
			if o < 1 || o > 8 {
				t.Fatalf("orientation %d", o)
			}
		}
		if n := gifFrames(bufio.NewReader(bytes.NewReader(b)), 10); n < 1 || n > 10 {
			t.Fatalf("%d frames", n)
		}
	})
}

// Whatever the file, Render ends in a result or in an error with a kind.
func FuzzRender(f *testing.F) {
	f.Add(enginetest.JPEG(f, enginetest.Quadrants(9, 9), 6))
	f.Add(enginetest.PNG(f, enginetest.Quadrants(9, 9)))
	f.Add(enginetest.Animation(f, 2))
	f.Add([]byte("II*\x00\x08\x00\x00\x00"))
	f.Add([]byte("BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00"))
	e, dir := New(), f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		source := filepath.Join(dir, "original")
		require.NoError(t, os.WriteFile(source, b, 0o600))
		report, err := e.Render(context.Background(), engine.Job{
			Source: source, Dir: dir, Pipeline: pipeline.DefaultPresets()["default"], Limits: engine.Limits{InputPixels: 1 << 20},
		})
		var fe *fault.Error
		switch {
		case err == nil:
			require.Len(t, report.Renditions, 1)
		case !errors.As(err, &fe) || !engine.Final(err):
			t.Fatalf("not final: %v", err)
		}
	})
}

func TestEveryOperationHasAStep(t *testing.T) {
	m := enginetest.Quadrants(6, 6)
	for _, op := range []pipeline.Operation{
		pipeline.Resize{Width: 3}, pipeline.Crop{Width: 2, Height: 2}, pipeline.Rotate{Angle: 10}, pipeline.Flip{Vertical: true},
		pipeline.Blur{Sigma: 1}, pipeline.Sharpen{Sigma: 1}, pipeline.Grayscale{}, pipeline.Brightness{}, pipeline.Contrast{},
		pipeline.Gamma{Value: 1}, pipeline.Saturation{}, pipeline.Hue{}, pipeline.Invert{}, pipeline.SwapRedBlue{},
		pipeline.Trim{}, pipeline.Extend{Top: 1}, pipeline.Pixelate{Size: 2}, pipeline.Sepia{Percent: 50}, pipeline.Tint{Color: "#102030"},
		pipeline.ExtractChannel{Channel: pipeline.Green}, pipeline.RoundCorners{Radius: 2}, pipeline.Flatten{Background: "#ffffff"},
		pipeline.Watermark{Image: "a", Opacity: 1}, pipeline.Text{Text: "x", Size: 5, Color: "#000000", Opacity: 1},
	} {
		before := bytes.Clone(m.Pix)
		s := scene{view: viewOf(m), mark: func(pipeline.Asset) (*image.NRGBA, error) { return enginetest.Quadrants(2, 2), nil }}
		end, err := s.apply(op)
		require.NoError(t, err)
		require.NotNil(t, end.finished(), op.Op())
		require.Equal(t, before, m.Pix, "%s changed what other renditions start from", op.Op())
	}
}

func TestTinyAndBigPNGsAreWrittenFast(t *testing.T) {
	for _, c := range []struct {
		width, height int
		level         png.CompressionLevel
	}{
		{1, 1, png.BestSpeed}, {64, 64, png.BestSpeed}, {128, 32, png.BestSpeed}, {64, 65, png.DefaultCompression},
		{1024, 1023, png.DefaultCompression}, {1024, 1024, png.BestSpeed}, {5000, 4000, png.BestSpeed},
	} {
		require.Equal(t, c.level, pngLevel(image.Rect(0, 0, c.width, c.height), 0), "%d×%d", c.width, c.height)
	}
}

// An encoder makes its compressor anew where it finds one of another level.
func TestEachPNGLevelKeepsItsBuffers(t *testing.T) {
	e := New()
	require.NoError(t, e.png(io.Discard, enginetest.Quadrants(64, 64), pipeline.Rendition{}))
	require.Nil(t, e.buffers.png.Get(), "a tiny picture leaves none to others")
	e = New()
	require.NoError(t, e.png(io.Discard, enginetest.Quadrants(65, 64), pipeline.Rendition{}))
	require.Nil(t, e.buffers.quick.Get(), "nor takes one from them")
}

// A picture of many colours is dithered to a palette and keeps its mean.
func TestGIFOfManyColours(t *testing.T) {
	m := enginetest.Quadrants(64, 64)
	for i := range m.Pix {
		if i%4 != 3 {
			m.Pix[i] = uint8(i / 7)
		}
	}
	m.Pix[3] = 0
	p := forGIF(m, 0)
	require.LessOrEqual(t, len(p.Palette), 256)
	_, _, _, a := p.At(0, 0).RGBA()
	require.Zero(t, a)
	var want, got int
	for y := range 64 {
		for x := 1; x < 64; x++ {
			r, _, _, _ := m.At(x, y).RGBA()
			q, _, _, _ := p.At(x, y).RGBA()
			want, got = want+int(r>>8), got+int(q>>8)
		}
	}
	require.InDelta(t, want/64/64, got/64/64, 4)
}

// Profiles and blocks of metadata are read before anybody has checked them; what
// is carried over never holds more than it may.
func FuzzProfile(f *testing.F) {
	f.Add(enginetest.DisplayP3())
	f.Add(make([]byte, 132))
	for _, kind := range enginetest.InkProfiles() {
		f.Add(enginetest.TableProfile(kind, "CMYK", 3, enginetest.InkColour))
		f.Add(enginetest.TableProfile(kind, "RGB ", 3, colourOf))
		f.Add(enginetest.TableProfile(kind, "GRAY", 3, greyOf))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if tr := newTransform(b); tr != nil {
			m := tr.apply(enginetest.Quadrants(4, 4))
			require.Equal(t, image.Pt(4, 4), m.Bounds().Size())
			for _, m := range []image.Image{image.NewCMYK(image.Rect(0, 0, 3, 2)), image.NewGray(image.Rect(0, 0, 3, 2))} {
				require.Equal(t, image.Pt(3, 2), tr.apply(m).Bounds().Size())
			}
		}
		_, _, _ = jpegProfile(b), pngProfile(b), webpProfile(b)
	})
}

func FuzzMetadata(f *testing.F) {
	f.Add(jpegExif(enginetest.JPEG(f, enginetest.Quadrants(4, 4), 6)))
	f.Add([]byte("II*\x00\x08\x00\x00\x00\x02\x00\x12\x01\x03\x00\x01\x00\x00\x00\x08\x00\x00\x00\x69\x87\x04\x00\x01\x00\x00\x00\x08\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, keep := range []pipeline.Metadata{pipeline.Keep, pipeline.Copyright} {
			block := (&work{exif: b}).metadata(pipeline.Rendition{Metadata: keep})
			if block == nil {
				continue
			}
			require.LessOrEqual(t, len(block), maxBlock)
			require.Equal(t, 1, tiffOrientation(block))
			order := byteOrder(block)
			for _, f := range directory(block, 8, order) {
				require.True(t, f.tag == 0x0112 || f.tag == tagExif || !private[f.tag], "%x", f.tag)
			}
		}
	})
}
