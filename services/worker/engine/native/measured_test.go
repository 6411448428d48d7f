//go:build vips

package native_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/header"
	"imagemill/services/worker/engine/native"
	"imagemill/services/worker/engine/plan"
	"imagemill/services/worker/engine/process"
)

// several is a document of n renditions of little less than a width each.
func several(n, width int, rest string) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`{"name":"r%d",%s}`, i, strings.ReplaceAll(rest, "WIDTH", fmt.Sprint(width-i))))
	}
	return `{"renditions":[` + strings.Join(all, ",") + `]}`
}

// What a job is said to need bounds what an engine process holds that has done only
// that job, also where encoders work side by side.
func TestEstimateAgainstMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("renders large pictures")
	}
	can, err := native.Abilities()
	require.NoError(t, err)
	const resize = `"operations":[{"op":"resize","width":WIDTH}]`
	const sepia = `"operations":[{"op":"resize","width":WIDTH},{"op":"sepia"}]`
	for _, c := range []struct{ name, source, document string }{
		{"six JPEG and six WebP", "nuthatch-12mp.jpg", set("jpeg", "webp")},
		{"eight large WebP", "nuthatch-12mp.jpg", several(8, 2500, `"format":"webp","effort":1,`+resize)},
		{"eleven large JPEG", "nuthatch-12mp.jpg", several(11, 2600, `"format":"jpeg","progressive":true,`+resize)},
		{"four PNG by libvips", "nuthatch-12mp.jpg", several(4, 2000, `"format":"png","effort":1,`+sepia)},
		{"four lossless WebP", "nuthatch-12mp.jpg", several(4, 900, `"format":"webp","lossless":true,"effort":1,`+sepia)},
		{"four AVIF", "nuthatch-2mp.jpg", several(4, 600, `"format":"avif","effort":1,`+resize)},
		{"six WebP of a PNG", "kodak-23.png", several(6, 768, `"format":"webp",`+resize)},
	} {
		p, err := pipeline.Parse([]byte(c.document))
		require.NoError(t, err, c.name)
		source := filepath.Join(enginetest.Shared(t, "photos"), c.source)
		info, err := header.Open(source, 256)
		require.NoError(t, err)
		for _, threads := range []int{1, 4} {
			can.Abreast = threads
			made, err := plan.Make(p, info.Picture, can)
			require.NoError(t, err)
			measured := measured(t, threads, engine.Job{Source: source, Pipeline: p})
			ratio := float64(made.Memory) / float64(measured)
			t.Logf("%-24s by %d: estimate %4d MiB, measured %4d MiB, ratio %.2f", c.name, threads, made.Memory>>20, measured>>20, ratio)
			assert.Greater(t, ratio, 1.0, "%s by %d: an estimate that is short lets too much in", c.name, threads)
			assert.Less(t, ratio, 6.0, "%s by %d: an estimate that is far too high lets nothing in", c.name, threads)
		}
	}
}

// measured is the most memory, in bytes, of an engine process that has done one job.
func measured(t *testing.T, threads int, job engine.Job) int64 {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	pool, err := process.New(process.Config{
		Command: []string{self}, Env: []string{asEngine + "=1"}, Size: 1, Threads: threads, MemoryBytes: 1 << 30,
		StartTime: time.Minute, WallTime: 5 * time.Minute,
	}, process.Deps{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- pool.Run(ctx) }()
	defer func() {
		cancel()
		<-ended
	}()
	job.Dir = t.TempDir()
	_, err = pool.Render(t.Context(), job)
	require.NoError(t, err)
	most := 0.0
	require.Eventually(t, func() bool {
		for pid := range ownChildren(t) {
			most = max(most, highWater(t, fmt.Sprintf("/proc/%d/status", pid)))
		}
		return most > 0
	}, time.Minute, time.Millisecond)
	return int64(most * (1 << 20))
}
