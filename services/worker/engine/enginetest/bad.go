package enginetest

import (
	"bytes"
	"context"
	"image"
	"image/draw"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// badInput holds every bad original to a final failure with a kind and a
// sentence that somebody understands.
func (s Suite) badInput(t *testing.T) {
	photo := JPEG(t, Quadrants(200, 100), 0)
	lossless := PNG(t, Quadrants(200, 100))
	for _, c := range []struct {
		name     string
		original []byte
		kind     fault.Kind
		says     string
	}{
		{"nothing", nil, fault.Unsupported, "empty"},
		{"a text", []byte("Dear Sir or Madam, this is no picture.\n"), fault.Unsupported, "not a picture"},
		{"jp2", []byte("\x00\x00\x00\x0cjP  \r\n\x87\n"), fault.Unsupported, "JPEG 2000"},
		{"photoshop", append([]byte("8BPS\x00\x01"), make([]byte, 40)...), fault.Unsupported, "Photoshop"},
		{"half a JPEG", photo[:len(photo)/2], fault.Unprocessable, "JPEG ends before"},
		{"half a PNG", lossless[:len(lossless)*2/3], fault.Unprocessable, "PNG ends before"},
		{"JPEG magic only", photo[:3], fault.Unprocessable, "JPEG ends before"},
		{"PNG magic only", lossless[:8], fault.Unprocessable, "PNG ends before"},
		{"PNG header only", lossless[:33], fault.Unprocessable, "PNG ends before"},
		{"GIF magic only", []byte("GIF89a"), fault.Unprocessable, "GIF ends before"},
		{"TIFF magic only", []byte("II*\x00"), fault.Unprocessable, "TIFF"},
		{"BMP header only", append([]byte("BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00"), make([]byte, 8)...), fault.Unprocessable, "BMP"},
		{"PNG with a wrong checksum", flipped(lossless, 60), fault.Unprocessable, "PNG is damaged"},
		{"giant PNG", ClaimingPNG(t, 50_000, 50_000), fault.TooLarge, "50000×50000"},
		{"giant JPEG", ClaimingJPEG(t, 50_000, 50_000), fault.TooLarge, "50000×50000"},
		{"PNG without width", ClaimingPNG(t, 0, 5), fault.Unprocessable, "PNG"},
		{"too many frames", Animation(t, 300), fault.TooLarge, "frames"},
	} {
		start := time.Now()
		_, err := s.Render(t, c.original, "")
		if !assert.Error(t, err, c.name) {
			continue
		}
		assert.Equal(t, c.kind, fault.KindOf(err), "%s: %v", c.name, err)
		assert.Contains(t, fault.As(err).Public, c.says, c.name)
		assert.True(t, engine.Final(err), c.name)
		assert.False(t, engine.Died(err), c.name)
		t.Logf("%-26s %-18s %s (%s)", c.name, fault.KindOf(err), fault.As(err).Public, time.Since(start).Round(time.Millisecond))
	}
	one := s.Picture(t, PNG(t, Quadrants(1, 1)), `[{"op":"resize","width":3,"height":3},{"op":"sharpen","sigma":2},{"op":"rotate","angle":30}]`)
	require.False(t, one.Bounds().Empty())
}

// flipped changes one byte.
func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 0xff
	return b
}

// limits holds the engine to limits other than the defaults, and to its
// refusal of giant results of small pictures.
func (s Suite) limits(t *testing.T) {
	source := filepath.Join(t.TempDir(), "original")
	write := func(b []byte) { require.NoError(t, os.WriteFile(source, b, 0o600)) }
	refused := func(document string, l engine.Limits, field, says string) {
		t.Helper()
		_, err := s.RenderFile(t, source, document, l)
		require.Error(t, err)
		require.Equal(t, fault.TooLarge, fault.KindOf(err), "%v", err)
		require.Contains(t, fault.As(err).Public, says)
		require.Equal(t, field, fault.As(err).Field)
		require.True(t, engine.Final(err))
	}
	write(PNG(t, image.NewGray(image.Rect(0, 0, 1, 60_000))))
	refused(`[{"op":"resize","width":800}]`, engine.Limits{}, "renditions[0].operations[0]", "800×48000000")
	refused("", engine.Limits{}, "renditions[0].autoOrient", "a side may have at most 16384")
	refused("", engine.Limits{InputSide: 59_999}, "", "1×60000")
	write(PNG(t, Quadrants(100, 100)))
	refused("", engine.Limits{InputPixels: 9_999}, "", "at most 9999 pixels")
	refused(`[{"op":"resize","width":50},{"op":"resize","width":101}]`, engine.Limits{OutputPixels: 10_000}, "renditions[0].operations[1]", "101×101")
	refused(`[{"op":"rotate","angle":45},{"op":"resize","width":5}]`, engine.Limits{OutputPixels: 10_000}, "renditions[0].operations[0]", "pixels")
	refused(`[{"op":"resize","width":200,"height":1,"fit":"stretch"}]`, engine.Limits{Side: 150}, "renditions[0].operations[0]", "200×1")
	write(PNG(t, hairline(200, 4000)))
	refused(`[{"op":"trim"},{"op":"resize","width":500}]`, engine.Limits{}, "renditions[0].operations[1]", "500×2000000")
	write(Animation(t, 3))
	refused("", engine.Limits{Frames: 2}, "", "more than 2 frames")
	report, err := s.RenderFile(t, source, "", engine.Limits{Frames: 3})
	require.NoError(t, err)
	require.Equal(t, 3, report.Original.Frames)
	write(PNG(t, Quadrants(100, 100)))
	_, err = s.RenderFile(t, source, `[{"op":"crop","width":5,"height":5,"x":100,"y":0}]`, engine.Limits{})
	require.Equal(t, fault.Unprocessable, fault.KindOf(err))
	require.Equal(t, "renditions[0].operations[0].x", fault.As(err).Field)
	// On the way to a small result a step may be as large as the original.
	_, err = s.RenderFile(t, source, `[{"op":"rotate","angle":90},{"op":"resize","width":5}]`, engine.Limits{OutputPixels: 100, Side: 50})
	require.NoError(t, err)
}

// hairline is an upright black line of one pixel on white.
func hairline(w, h int) image.Image {
	m := image.NewGray(image.Rect(0, 0, w, h))
	draw.Draw(m, m.Rect, image.White, image.Point{}, draw.Src)
	draw.Draw(m, image.Rect(w/2, 0, w/2+1, h), image.Black, image.Point{}, draw.Src)
	return m
}

// cancelled ends a call whose caller has gone, and leaves the engine usable.
// A missing original is nobody's fault but the moment's.
func (s Suite) cancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	source := filepath.Join(t.TempDir(), "original")
	job := engine.Job{Source: source, Dir: t.TempDir(), Pipeline: pipeline.DefaultPresets()["small"]}
	require.NoError(t, os.WriteFile(source, PNG(t, Quadrants(10, 10)), 0o600))
	_, err := s.Engine.Render(ctx, job)
	require.Equal(t, fault.Canceled, fault.KindOf(err), "%v", err)
	require.False(t, engine.Died(err))
	_, err = s.Engine.Render(t.Context(), job)
	require.NoError(t, err)
	job.Source += "-gone"
	_, err = s.Engine.Render(t.Context(), job)
	require.Equal(t, fault.Unavailable, fault.KindOf(err), "%v", err)
	require.False(t, engine.Final(err))
	require.False(t, engine.Died(err))
}
