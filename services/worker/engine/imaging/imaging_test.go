package imaging

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	lib "github.com/disintegration/imaging"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
)

func TestConformance(t *testing.T) {
	enginetest.Run(t, New())
	enginetest.Conform(t, New(), Abilities())
}

func TestColours(t *testing.T) { enginetest.Colours(t, New()) }

func TestInked(t *testing.T) { enginetest.Inked(t, New()) }

func TestReferences(t *testing.T) { enginetest.References(t, New()) }

func TestWholePhotographs(t *testing.T) {
	enginetest.WholePhotographs(t, New(), []pipeline.Format{pipeline.JPEG}, nil)
}

func TestWallTimeEndsBetweenSteps(t *testing.T) {
	source := filepath.Join(t.TempDir(), "original")
	require.NoError(t, os.WriteFile(source, enginetest.PNG(t, enginetest.Quadrants(9, 9)), 0o600))
	_, err := enginetest.Suite{Engine: New()}.RenderFile(t, source, "", engine.Limits{WallTime: time.Nanosecond})
	require.Equal(t, fault.DeadlineExceeded, fault.KindOf(err))
	require.False(t, engine.Final(err))
}

func TestScratchFolderGoneIsRetryable(t *testing.T) {
	source := filepath.Join(t.TempDir(), "original")
	require.NoError(t, os.WriteFile(source, enginetest.PNG(t, enginetest.Quadrants(9, 9)), 0o600))
	_, err := New().Render(t.Context(), engine.Job{
		Source: source, Dir: filepath.Join(t.TempDir(), "gone"), Pipeline: pipeline.DefaultPresets()["small"],
	})
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
}

// benchmark renders one original again and again.
func benchmark(b *testing.B, original []byte, document string) {
	dir := b.TempDir()
	source := filepath.Join(dir, "original")
	require.NoError(b, os.WriteFile(source, original, 0o600))
	p, err := pipeline.Parse([]byte(document))
	require.NoError(b, err)
	e := New()
	b.ReportAllocs()
	before := processor()
	for b.Loop() {
		_, err := e.Render(b.Context(), engine.Job{Source: source, Dir: dir, Pipeline: p})
		require.NoError(b, err)
	}
	b.ReportMetric((processor()-before)/float64(b.N), "cpu-ms/op")
}

const default1280 = `{"renditions":[{"operations":[{"op":"resize","width":1280,"height":1280,"noEnlarge":true},{"op":"swapRedBlue"}]}]}`

func BenchmarkTinyPNG(b *testing.B) {
	benchmark(b, enginetest.PNG(b, enginetest.Quadrants(64, 64)), default1280)
}

func BenchmarkRender12MP(b *testing.B) {
	photo, err := os.ReadFile(enginetest.Shared(b, "photos", "nuthatch-12mp.jpg"))
	require.NoError(b, err)
	b.Run("to 800", func(b *testing.B) {
		benchmark(b, photo, `{"renditions":[{"operations":[{"op":"resize","width":800}],"quality":80}]}`)
	})
	b.Run("default", func(b *testing.B) { benchmark(b, photo, default1280) })
	b.Run("decode only", func(b *testing.B) {
		benchmark(b, photo, `{"renditions":[{"operations":[{"op":"crop","width":8,"height":8}]}]}`)
	})
}

// BenchmarkPNG compares the encoder's levels on a photograph: time, and bytes
// as a metric.
func BenchmarkPNG(b *testing.B) {
	f, err := os.Open(enginetest.Shared(b, "photos", "kodak-3.png"))
	require.NoError(b, err)
	defer f.Close()
	m, _, err := image.Decode(f)
	require.NoError(b, err)
	for side, m := range map[string]image.Image{"whole": m, "64x64": lib.Resize(m, 64, 64, lib.Lanczos)} {
		for name, level := range map[string]png.CompressionLevel{"default": png.DefaultCompression, "speed": png.BestSpeed} {
			b.Run(side+"/"+name, func(b *testing.B) {
				var n counter
				buffers := &oneBuffer{}
				for b.Loop() {
					n = 0
					require.NoError(b, (&png.Encoder{CompressionLevel: level, BufferPool: buffers}).Encode(&n, m))
				}
				b.ReportMetric(float64(n), "bytes")
			})
		}
	}
}

// oneBuffer lets an encoder use its buffer again.
type oneBuffer struct{ *png.EncoderBuffer }

func (b *oneBuffer) Get() *png.EncoderBuffer    { return b.EncoderBuffer }
func (b *oneBuffer) Put(buf *png.EncoderBuffer) { b.EncoderBuffer = buf }

type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

func ExampleEngine_Render() {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	source := filepath.Join(dir, "original")
	f, _ := os.Create(source)
	_ = png.Encode(f, image.NewNRGBA(image.Rect(0, 0, 640, 480)))
	_ = f.Close()

	p, _ := pipeline.Parse([]byte(`{"renditions":[{"operations":[{"op":"resize","width":64}]}]}`))
	var e engine.Engine = New()
	report, err := e.Render(context.Background(), engine.Job{Source: source, Dir: dir, Pipeline: p})
	r := report.Renditions[0]
	fmt.Println(report.Original.Format, "→", r.Name, r.ContentType, r.Width, r.Height, err)
	// Output: png → default image/png 64 48 <nil>
}
