//go:build vips

package native_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/native"
	"imagemill/services/worker/engine/vips"
)

// widths are those of the usual set of a web page.
var widths = []int{320, 640, 960, 1280, 1920, 2560}

func set(formats ...string) string {
	var all []string
	for _, w := range widths {
		for _, f := range formats {
			all = append(all, fmt.Sprintf(`{"name":"%s%d","format":"%s","quality":80,"operations":[{"op":"resize","width":%d}]}`, f, w, f, w))
		}
	}
	return `{"renditions":[` + strings.Join(all, ",") + `]}`
}

// BenchmarkEngines renders the picture named by IMAGEMILL_BENCH_PICTURE, or the
// shared photograph of 12 megapixels. It reports processor time, and the most
// memory that the process has had so far: run one case at a time for that.
func BenchmarkEngines(b *testing.B) {
	source := os.Getenv("IMAGEMILL_BENCH_PICTURE")
	if source == "" {
		source = enginetest.Shared(b, "photos", "nuthatch-12mp.jpg")
	}
	v, err := vips.New()
	require.NoError(b, err)
	n, err := native.New()
	require.NoError(b, err)
	for _, e := range []struct {
		name   string
		engine engine.Engine
	}{{native.Name, n}, {vips.Name, v}} {
		b.Run(e.name, func(b *testing.B) {
			one := `{"renditions":[{"format":"jpeg","quality":80,"operations":[{"op":"resize","width":800}]}]}`
			b.Run("one", func(b *testing.B) { benchmark(b, e.engine, source, one) })
			b.Run("six", func(b *testing.B) { benchmark(b, e.engine, source, set("jpeg")) })
			b.Run("twelve", func(b *testing.B) { benchmark(b, e.engine, source, set("jpeg", "webp")) })
		})
	}
}

func benchmark(b *testing.B, e engine.Engine, source, document string) {
	p, err := pipeline.Parse([]byte(document))
	require.NoError(b, err)
	job := engine.Job{Source: source, Dir: b.TempDir(), Pipeline: p}
	render := func() {
		_, err := e.Render(b.Context(), job)
		require.NoError(b, err)
	}
	render()
	begun := cpu(b)
	for b.Loop() {
		render()
	}
	b.ReportMetric((cpu(b)-begun)/float64(b.N), "cpu-ms/op")
	b.ReportMetric(peak(b), "peak-MB")
}

// BenchmarkTiny is the picture for which libvips is too much.
func BenchmarkTiny(b *testing.B) {
	source := filepath.Join(b.TempDir(), "tiny.png")
	require.NoError(b, os.WriteFile(source, enginetest.PNG(b, enginetest.Quadrants(64, 64)), 0o600))
	document := `{"renditions":[{"operations":[{"op":"resize","width":32}]}]}`
	b.Run(native.Name, func(b *testing.B) { benchmark(b, newEngine(b), source, document) })
	v, err := vips.New()
	require.NoError(b, err)
	b.Run(vips.Name, func(b *testing.B) { benchmark(b, v, source, document) })
}

// cpu is the processor time of the process, in milliseconds.
func cpu(b *testing.B) float64 {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
}

// peak is the most memory that the process has had, in MB.
func peak(b *testing.B) float64 { return highWater(b, "/proc/self/status") }

// highWater is the most memory of a process, by its status file, in MB.
func highWater(b testing.TB, file string) float64 {
	status, err := os.ReadFile(file)
	require.NoError(b, err)
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kb float64
	_, err = fmt.Sscan(rest, &kb)
	require.NoError(b, err)
	return kb / 1024
}
