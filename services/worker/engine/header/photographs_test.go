package header_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/header"
)

func TestPhotographs(t *testing.T) {
	dir := enginetest.Shared(t, "photos")
	for orientation := range 9 {
		got, err := header.Open(filepath.Join(dir, "orientation", "Portrait_"+string(rune('0'+orientation))+".jpg"), 1)
		require.NoError(t, err)
		require.Equal(t, max(orientation, 1), got.Orientation)
	}
	place, err := header.Open(filepath.Join(dir, "gps", "DSCN0010.jpg"), 1)
	require.NoError(t, err)
	require.Equal(t, "43.467448", place.EXIF.Fields["GPSLatitude"])
	require.Equal(t, "11.885127", place.EXIF.Fields["GPSLongitude"])
	require.Equal(t, engine.ProfileSRGB, place.Profile)
	odd, err := header.Open(filepath.Join(dir, "dragonfly.jpg"), 1)
	require.NoError(t, err)
	require.Equal(t, engine.Chroma422, odd.Chroma)
	require.True(t, odd.Interlaced)
}
