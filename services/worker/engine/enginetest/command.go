package enginetest

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// Command runs one of the programs of libvips-tools ("vips", "vipsthumbnail"),
// with whose results those of the engines are compared. Where it is not
// installed the test is skipped, or fails when IMAGEMILL_CI is 1.
func Command(t testing.TB, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("IMAGEMILL_CI") == "1" {
			t.Fatalf("libvips-tools is missing: %v", err)
		}
		t.Skipf("libvips-tools is not here: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "VIPS_WARNING=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %q: %s", name, args, out)
}

// openPNG reads a PNG.
func openPNG(t testing.TB, name string) image.Image {
	t.Helper()
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	m, err := png.Decode(bytes.NewReader(b))
	require.NoError(t, err)
	return m
}
