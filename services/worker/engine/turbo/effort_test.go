//go:build vips

package turbo

import (
	"bytes"
	"image"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/image/webp"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/turbo/yardstick"
)

// BenchmarkEffort gives size and likeness of WebPs at each of libwebp's methods
// beside libvips at its default, mean over photographs and widths: bytes as a
// ratio, SSIM to the full decoding as a difference.
func BenchmarkEffort(b *testing.B) {
	dir := enginetest.Shared(b, "photos")
	require.NoError(b, yardstick.Start())
	for _, effort := range []int{1, 2, 3, 4, 5, 6, 7, 9} {
		b.Run(string(rune('0'+webpMethod(effort))), func(b *testing.B) {
			var ours, theirs time.Duration
			var size, like, other, n float64
			for b.Loop() {
				for _, name := range []string{"nuthatch-12mp.jpg", "dragonfly.jpg", "orientation/Landscape_1.jpg", "gps/DSCN0010.jpg"} {
					file := filepath.Join(dir, name)
					original, err := os.ReadFile(file)
					require.NoError(b, err)
					for _, width := range []int{320, 640, 1280} {
						if name == "gps/DSCN0010.jpg" && width > 320 {
							continue
						}
						before := cpu()
						done, err := render(b, file, widths([]pipeline.Format{pipeline.WebP}, effort, width), 1)
						require.NoError(b, err)
						middle := cpu()
						want, err := yardstick.Thumbnail(original, width, true, 80, -1)
						require.NoError(b, err)
						ours, theirs = ours+middle-before, theirs+cpu()-middle
						m, err := webp.Decode(bytes.NewReader(want))
						require.NoError(b, err)
						w, h := m.Bounds().Dx(), m.Bounds().Dy()
						require.Equal(b, [2]int{w, h}, [2]int{done[0].Width, done[0].Height})
						full := lumaOf(b, file, w, h, 1)
						like += likeness(b, full, enginetest.Lossy(b, done[0].File))
						other += likeness(b, full, lossyOf(b, want))
						size += float64(done[0].Bytes) / float64(len(want))
						n++
					}
				}
			}
			b.ReportMetric(size/n, "bytes/libvips")
			b.ReportMetric(like/n, "SSIM")
			b.ReportMetric(other/n, "libvips-SSIM")
			b.ReportMetric(float64(theirs)/float64(ours), "ratio")
		})
	}
}

func lossyOf(b *testing.B, file []byte) image.Image {
	name := filepath.Join(b.TempDir(), "a.webp")
	require.NoError(b, os.WriteFile(name, file, 0o600))
	return enginetest.Lossy(b, name)
}
