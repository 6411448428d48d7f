package e2e

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	_ "image/gif" // Decode reads it
	"image/jpeg"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Colored makes a PNG of one colour, which a result can be known by.
func Colored(t testing.TB, width, height int, c color.NRGBA) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i := 0; i < len(img.Pix); i += 4 {
		img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = c.R, c.G, c.B, c.A
	}
	var buf bytes.Buffer
	require.NoError(t, png.Encode(&buf, img))
	return buf.Bytes()
}

// Halves makes a JPEG whose left half is red and right half blue.
func Halves(t testing.TB, width, height int) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			c := color.NRGBA{220, 20, 20, 255}
			if x >= width/2 {
				c = color.NRGBA{20, 20, 220, 255}
			}
			img.SetNRGBA(x, y, c)
		}
	}
	var buf bytes.Buffer
	require.NoError(t, jpeg.Encode(&buf, img, &jpeg.Options{Quality: 95}))
	return buf.Bytes()
}

// HugeHeader makes a PNG that claims a size and holds next to nothing.
func HugeHeader(width, height uint32) []byte {
	chunk := func(kind string, data []byte) []byte {
		out := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
		out = append(out, kind...)
		out = append(out, data...)
		return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
	}
	ihdr := binary.BigEndian.AppendUint32(nil, width)
	ihdr = binary.BigEndian.AppendUint32(ihdr, height)
	ihdr = append(ihdr, 8, 2, 0, 0, 0)
	out := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", ihdr)...)
	return append(out, chunk("IDAT", []byte{0x78, 0x9c, 1, 0, 0, 0xff, 0xff, 0, 0, 0, 1})...)
}

// Decode reads a JPEG, PNG or GIF.
func Decode(t testing.TB, data []byte) (image.Image, string) {
	t.Helper()
	img, format, err := image.Decode(bytes.NewReader(data))
	require.NoError(t, err)
	return img, format
}

// RequireNear compares a pixel with a colour, within a lossy format's tolerance.
func RequireNear(t testing.TB, want color.NRGBA, got color.Color, tolerance int) {
	t.Helper()
	g, _ := color.NRGBAModel.Convert(got).(color.NRGBA)
	for i, d := range []int{int(want.R) - int(g.R), int(want.G) - int(g.G), int(want.B) - int(g.B)} {
		require.LessOrEqualf(t, max(d, -d), tolerance, "channel %d of %v, wanted %v", i, g, want)
	}
}

// Photograph reads one of the photographs in the testdata of the imaging module.
func Photograph(t testing.TB, name string) []byte {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/disintegration/imaging").Output()
	require.NoError(t, err, "find the imaging module")
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "testdata", name))
	require.NoError(t, err)
	return data
}

// Shared gives the path of a file in the folder beside the project, or skips
// the test, which in CI is a failure.
func Shared(t testing.TB, parts ...string) string {
	t.Helper()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOMOD").Output()
	require.NoError(t, err)
	path := filepath.Join(append([]string{filepath.Dir(strings.TrimSpace(string(root))), "..", "shared"}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("IMAGEMILL_CI") == "1" {
			t.Fatalf("%s is missing", path)
		}
		t.Skipf("%s is not here", path)
	}
	return path
}
