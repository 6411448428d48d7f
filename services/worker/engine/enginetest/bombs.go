package enginetest

import (
	"bytes"
	"encoding/binary"
	"image"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// bomb is a small file that would take much: a giant picture by its header, or a
// giant result.
type bomb struct {
	name       string
	bytes      []byte
	operations string
}

// bombs gives one of every format whose header states a size, and those that were
// found elsewhere.
func bombs(t testing.TB) []bomb {
	gif := Animation(t, 1)
	binary.LittleEndian.PutUint16(gif[6:], 65535)
	binary.LittleEndian.PutUint16(gif[8:], 65535)
	bmp := append([]byte("BM"), make([]byte, 60)...)
	bmp[10] = 54 // where the pixels begin
	copy(bmp[14:], []byte{40, 0, 0, 0, 0x50, 0xc3, 0, 0, 0x50, 0xc3, 0, 0, 1, 0, 24})
	vp8x := []byte("RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x4f\xc3\x00\x3f\x9c\x00\x00\x00\x00\x00")
	lossless := []byte("RIFF\x16\x00\x00\x00WEBPVP8L\x0a\x00\x00\x00\x2f\xff\xff\xff\x0f\x00\x00\x00\x00\x00")
	tiff := []byte("II*\x00\x08\x00\x00\x00\x02\x00\x00\x01\x04\x00\x01\x00\x00\x00\x50\xc3\x00\x00\x01\x01\x04\x00\x01\x00\x00\x00\x50\xc3\x00\x00\x00\x00\x00\x00")
	found, err := os.ReadFile(Shared(t, "hostile", "output-bomb-1x65537.tif"))
	require.NoError(t, err)
	const wide = `[{"op":"resize","width":800}]`
	return []bomb{
		{"png", ClaimingPNG(t, 50_000, 50_000), ""}, {"png, two thousand million high", ClaimingPNG(t, 1, 1<<31-1), ""},
		{"jpeg", ClaimingJPEG(t, 50_000, 50_000), ""}, {"gif", gif, ""}, {"gif of 300 frames", Animation(t, 300), ""},
		{"bmp", bmp, ""}, {"webp", vp8x, ""}, {"lossless webp", lossless, ""}, {"tiff", tiff, ""},
		{"png in long chunks", withChunks(t, 64<<10), ""},
		{"result", PNG(t, image.NewGray(image.Rect(0, 0, 1, 60_000))), wide}, {"result of a tiff", found, wide},
	}
}

// withChunks is a giant PNG behind n chunks that say nothing.
func withChunks(t testing.TB, n int) []byte {
	b := ClaimingPNG(t, 50_000, 50_000)
	const ihdrEnd = 8 + 25
	return slices.Concat(b[:ihdrEnd], bytes.Repeat(chunk("tEXt", []byte("a\x00b")), n), b[ihdrEnd:])
}

// heldByBombs is the most memory that a process may hold that has refused every
// bomb: none was decoded. The smallest would take four times as much.
const heldByBombs = 256 << 20

// Bombs holds an engine behind a pool to refusing, by their headers, what would
// take much memory.
func Bombs(t *testing.T, e engine.Engine) {
	p := watchPeak(t)
	slowest, name := time.Duration(0), ""
	for _, b := range bombs(t) {
		start := time.Now()
		_, err := Suite{e}.Render(t, b.bytes, b.operations)
		if took := time.Since(start); took > slowest {
			slowest, name = took, b.name
		}
		require.Equal(t, fault.TooLarge, fault.KindOf(err), "%s: %v", b.name, err)
		require.True(t, engine.Final(err) && !engine.Died(err), b.name)
	}
	require.Less(t, p.most(), int64(heldByBombs))
	t.Logf("slowest %s %s; peak of a process %d MiB", slowest, name, p.most()>>20)
	_, err := Suite{e}.RenderFile(t, Shared(t, "hostile", "cve-2023-36308.tif"), `[{"op":"resize","width":200}]`, engine.Limits{})
	require.False(t, engine.Died(err), "%v", err)
}

// BenchBombs reports how long the slowest bomb takes, by its median and at most, in
// milliseconds.
func BenchBombs(b *testing.B, e engine.Engine) {
	dir, all := b.TempDir(), bombs(b)
	jobs, times := make([]engine.Job, len(all)), make([][]time.Duration, len(all))
	for i, one := range all {
		source := filepath.Join(dir, "bomb"+string(rune('a'+i)))
		require.NoError(b, os.WriteFile(source, one.bytes, 0o600))
		p, err := pipeline.Parse([]byte(`{"renditions":[{"format":"png","operations":` + orEmpty(one.operations) + `}]}`))
		require.NoError(b, err)
		jobs[i] = engine.Job{Source: source, Dir: dir, Pipeline: p}
	}
	for b.Loop() {
		for i, job := range jobs {
			start := time.Now()
			if _, err := e.Render(b.Context(), job); err == nil {
				b.Fatal("a bomb was carried out")
			}
			times[i] = append(times[i], time.Since(start))
		}
	}
	var median, most time.Duration
	for i, t := range times {
		slices.Sort(t)
		if t[len(t)/2] > median {
			median = t[len(t)/2]
			b.Logf("%s: median %s, at most %s", all[i].name, median, t[len(t)-1])
		}
		most = max(most, t[len(t)-1])
	}
	b.ReportMetric(float64(median.Microseconds())/1000, "median-ms")
	b.ReportMetric(float64(most.Microseconds())/1000, "most-ms")
}
