package enginetest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"testing"

	lib "github.com/disintegration/imaging"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/ssim"
)

// Inked holds what the engine makes of a JPEG in four inks, smaller and turned by
// each orientation, to its own full-size picture made smaller by Lanczos: it takes
// the slow path, which may take shortcuts, but none that shows.
func Inked(t *testing.T, e engine.Engine) {
	s := Suite{e}
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	Command(t, "vips", "crop", Shared(t, "photos", "nuthatch-2mp.jpg"), file("odd.v"), "101", "50", "1301", "997")
	Command(t, "vips", "icc_transform", file("odd.v"), file("inks.jpg[Q=92]"), "cmyk", "--input-profile", "srgb")
	Command(t, "vips", "jpegsave", file("inks.jpg"), file("progressive.jpg"), "--Q", "92", "--interlace")
	Command(t, "vips", "jpegsave", file("inks.jpg"), file("bare.jpg"), "--Q", "92", "--strip")
	for _, name := range []string{"inks.jpg", "progressive.jpg", "bare.jpg"} {
		b, err := os.ReadFile(file(name))
		require.NoError(t, err)
		adobe := bytes.Index(b, []byte("\xff\xee\x00\x0eAdobe"))
		require.Positive(t, adobe)
		ycck := bytes.Clone(b)
		ycck[adobe+15] = 2 // other colours, stored another way
		for form, b := range map[string][]byte{"CMYK": b, "YCCK": ycck} {
			whole := s.Picture(t, b, "")
			worst := 1.0
			for i, width := range []int{1300, 1000, 640, 333, 300, 161, 100, 40} {
				worst = min(worst, s.inked(t, b, whole, width, 1+i%8))
			}
			t.Logf("%s as %s: at least %.4f", name, form, worst)
			assert.GreaterOrEqual(t, worst, 0.98, "%s as %s", name, form)
		}
	}
}

// inked is how like Lanczos a result of a width is, for an original that is stored
// in an orientation.
func (s Suite) inked(t *testing.T, original []byte, whole image.Image, width, orientation int) float64 {
	t.Helper()
	body := append([]byte("Exif\x00\x00"), exif(orientation)...)
	app1 := binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(2+len(body)))
	turned := bytes.Join([][]byte{original[:2], app1, body, original[2:]}, nil)
	got := s.Picture(t, turned, fmt.Sprintf(`[{"op":"resize","width":%d}]`, width))
	upright := [9]func(image.Image) *image.NRGBA{
		nil, lib.Clone, lib.FlipH, lib.Rotate180, lib.FlipV, lib.Transpose, lib.Rotate270, lib.Transverse, lib.Rotate90,
	}[orientation](whole)
	like, err := ssim.Images(lib.Resize(upright, width, got.Bounds().Dy(), lib.Lanczos), got)
	require.NoError(t, err)
	return like
}
