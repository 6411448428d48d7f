package imaging

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine/enginetest"
)

// BenchmarkInks12MP compares a photograph in four inks with the same in RGB, both
// written by vips in one quality.
func BenchmarkInks12MP(b *testing.B) {
	photo, dir := enginetest.Shared(b, "photos", "nuthatch-12mp.jpg"), b.TempDir()
	rgb, inks, bare := filepath.Join(dir, "rgb.jpg"), filepath.Join(dir, "inks.jpg"), filepath.Join(dir, "bare.jpg")
	enginetest.Command(b, "vips", "jpegsave", photo, rgb, "--Q", "85")
	enginetest.Command(b, "vips", "icc_transform", photo, inks+"[Q=85]", "cmyk", "--input-profile", "srgb")
	enginetest.Command(b, "vips", "jpegsave", inks, bare, "--Q", "85", "--strip")
	for _, to := range []struct{ name, operations string }{
		{"to 800", `{"op":"resize","width":800}`}, {"to 2500", `{"op":"resize","width":2500}`}, {"decode only", `{"op":"crop","width":8,"height":8}`},
	} {
		for _, original := range []string{rgb, inks, bare} {
			b.Run(to.name+"/"+filepath.Base(original), func(b *testing.B) {
				bytes, err := os.ReadFile(original)
				require.NoError(b, err)
				benchmark(b, bytes, `{"renditions":[{"format":"jpeg","operations":[`+to.operations+`],"quality":80}]}`)
			})
		}
	}
}
