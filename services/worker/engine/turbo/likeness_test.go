//go:build vips

package turbo

import (
	"image"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	_ "golang.org/x/image/webp"

	"imagemill/services/worker/engine/ssim"
)

// readPicture decodes a result and leaves it as it is stored; enginetest.Lossy
// gives its colours.
func readPicture(t testing.TB, file string) image.Image {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	m, _, err := image.Decode(f)
	require.NoError(t, err, file)
	return m
}

// likeness is the structural similarity of two pictures.
func likeness(t testing.TB, a, b image.Image) float64 {
	t.Helper()
	like, err := ssim.Images(a, b)
	require.NoError(t, err)
	return like
}
