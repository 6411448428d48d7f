//go:build vips

package native_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/header"
)

// No result of a camera's picture tells the place, a serial number or shows the
// thumbnail, whatever is kept; what is asked to be kept is there.
func TestNoResultTellsThePlace(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(enginetest.Shared(t, "photos", "gps"), "*.jpg"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	s := enginetest.Suite{Engine: newEngine(t)}
	const document = `{"renditions":[
		{"name":"fast","operations":[{"op":"resize","width":200}]},
		{"name":"slow","format":"jpeg","operations":[{"op":"resize","width":200},{"op":"sepia"}]},
		{"name":"webp","format":"webp","operations":[{"op":"resize","width":200}]},
		{"name":"png","format":"png","operations":[{"op":"resize","width":200}]},
		{"name":"copyright","format":"jpeg","metadata":"copyright"},
		{"name":"keep","format":"jpeg","metadata":"keep"},
		{"name":"keep-webp","format":"webp","metadata":"keep"}]}`
	for _, file := range files {
		original, err := header.Open(file, 1)
		require.NoError(t, err)
		require.NotEmpty(t, original.EXIF.Fields["Model"], file)
		report, err := s.RenderFile(t, file, document, engine.Limits{})
		require.NoError(t, err)
		for _, r := range report.Renditions {
			info, err := header.Open(r.File, 1)
			require.NoError(t, err)
			for _, name := range []string{"GPSLatitude", "GPSLongitude", "GPSInfo", "BodySerialNumber", "MakerNote"} {
				require.NotContains(t, info.EXIF.Fields, name, r.Name)
			}
			body, err := os.ReadFile(r.File)
			require.NoError(t, err)
			require.NotContains(t, string(body), "WGS-84", "the datum of a place: %s", r.Name)
			if r.Name == "keep" {
				require.Equal(t, original.EXIF.Fields["Model"], info.EXIF.Fields["Model"])
			}
		}
	}
}
