//go:build vips

package native_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/process"
	"imagemill/services/worker/engine/turbo/yardstick"
)

// abreast is how many engine processes, and how many threads of the yardstick,
// work at the same time.
const abreast = 2

// BenchmarkPool holds a pool of two engine processes against the yardstick, a
// loop of libvips' own thumbnail call and encoders on two threads of this
// process, by turns in one run. Processor time counts what the pool's own
// process takes, too. peak-MB is the most memory of an engine process that has
// done nothing but one such job, idle-MB that of one that has done nothing.
//
// IMAGEMILL_BENCH_PROGRAM is the command of engines ("imagemill-engine engine") to be measured
// instead of the test's own program; IMAGEMILL_BENCH_PNG and
// IMAGEMILL_BENCH_AVIF are the photograph in those formats.
func BenchmarkPool(b *testing.B) {
	require.NoError(b, yardstick.Start())
	photo := enginetest.Shared(b, "photos", "nuthatch-12mp.jpg")
	png, avif := os.Getenv("IMAGEMILL_BENCH_PNG"), os.Getenv("IMAGEMILL_BENCH_AVIF")
	one := `{"renditions":[{"format":"jpeg","quality":80,"operations":[{"op":"resize","width":800}]}]}`
	sepia := `{"renditions":[{"format":"jpeg","quality":80,"operations":[{"op":"resize","width":800},{"op":"sepia"}]}]}`
	method4 := strings.ReplaceAll(set("jpeg", "webp"), `"format":"webp"`, `"format":"webp","effort":7`)
	for _, c := range []poolCase{
		{name: "one", source: photo, document: one, jobs: 16},
		{name: "one-vips", source: photo, document: sepia, jobs: 8},
		{name: "six", source: photo, document: set("jpeg"), jobs: 4},
		{name: "twelve-4", source: photo, document: method4, effort: 4, jobs: 2},
		{name: "twelve", source: photo, document: set("jpeg", "webp"), effort: -1, jobs: 2},
		{name: "png-4", source: png, document: method4, effort: 4, jobs: 2},
		{name: "png", source: png, document: set("jpeg", "webp"), effort: -1, jobs: 2},
		{name: "avif-4", source: avif, document: method4, effort: 4, jobs: 2},
		{name: "avif", source: avif, document: set("jpeg", "webp"), effort: -1, jobs: 2},
		{name: "tiny", source: tinyPNG(b), document: `{"renditions":[{"operations":[{"op":"resize","width":32}]}]}`, jobs: 2000},
	} {
		b.Run(c.name, c.run)
	}
}

// tinyPNG is the picture for which libvips is too much.
func tinyPNG(b *testing.B) string {
	source := filepath.Join(b.TempDir(), "tiny.png")
	require.NoError(b, os.WriteFile(source, enginetest.PNG(b, enginetest.Quadrants(64, 64)), 0o600))
	return source
}

// poolCase is one job, of which a turn carries out some.
type poolCase struct {
	name, source, document string
	effort, jobs           int
}

func (c poolCase) run(b *testing.B) {
	if c.source == "" {
		b.Skip("needs the picture; bench/engine.sh makes it")
	}
	p, err := pipeline.Parse([]byte(c.document))
	require.NoError(b, err)
	original, err := os.ReadFile(c.source)
	require.NoError(b, err)
	idle, peak := c.memory(b, p)
	pool, end := benchPool(b, abreast)
	defer end()
	job := engine.Job{Source: c.source, Pipeline: p}
	ours := turn{jobs: c.jobs, one: func(dir string) error {
		own := job
		own.Dir = dir
		_, err := pool.Render(b.Context(), own)
		return err
	}}
	theirs := turn{jobs: c.jobs, one: func(string) error {
		for _, r := range p.Renditions {
			if _, err := yardstick.Thumbnail(original, r.Operations[0].(pipeline.Resize).Width, r.Format == pipeline.WebP, 80, c.effort); err != nil {
				return err
			}
		}
		return nil
	}}
	ours.warm(b)
	theirs.warm(b)
	for b.Loop() {
		ours.take(b)
		theirs.take(b)
	}
	n := float64(b.N * c.jobs)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(n/ours.wall.Seconds(), "jobs/s")
	b.ReportMetric(n/theirs.wall.Seconds(), "L-jobs/s")
	b.ReportMetric(theirs.wall.Seconds()/ours.wall.Seconds(), "x-speed")
	b.ReportMetric(ours.cpu/n, "cpu-ms/job")
	b.ReportMetric(theirs.cpu/n, "L-cpu-ms/job")
	b.ReportMetric(theirs.cpu/ours.cpu, "x-cpu")
	b.ReportMetric(idle, "idle-MB")
	b.ReportMetric(peak, "peak-MB")
}

// turn is some jobs one after the other, as many at a time as there are cores,
// and what they have taken so far.
type turn struct {
	jobs int
	one  func(dir string) error
	wall time.Duration
	cpu  float64 // milliseconds
	dirs []string
}

func (t *turn) warm(b *testing.B) {
	for range abreast {
		t.dirs = append(t.dirs, b.TempDir())
		require.NoError(b, t.one(t.dirs[0]))
	}
	t.take(b)
	t.wall, t.cpu = 0, 0
}

func (t *turn) take(b *testing.B) {
	begun, before := time.Now(), cpu(b)+children(b)
	var group sync.WaitGroup
	for _, dir := range t.dirs {
		group.Go(func() {
			for range t.jobs / abreast {
				if err := t.one(dir); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	t.wall += time.Since(begun)
	t.cpu += cpu(b) + children(b) - before
}

// memory is the most that an engine process takes before and for one job.
func (c poolCase) memory(b *testing.B, p pipeline.Pipeline) (idle, peak float64) {
	pool, end := benchPool(b, 1)
	defer end()
	most := func() (mb float64) {
		for pid := range ownChildren(b) {
			mb = max(mb, highWater(b, fmt.Sprintf("/proc/%d/status", pid)))
		}
		return mb
	}
	idle = most()
	_, err := pool.Render(b.Context(), engine.Job{Source: c.source, Dir: b.TempDir(), Pipeline: p})
	require.NoError(b, err)
	return idle, most()
}

// benchPool is a pool, and how to end it.
func benchPool(b *testing.B, size int) (pool *process.Pool, end func()) {
	cfg := process.Config{Size: size, MemoryBytes: 1 << 30, Recycle: 1 << 30}
	if program := os.Getenv("IMAGEMILL_BENCH_PROGRAM"); program != "" {
		cfg.Command = strings.Fields(program)
	} else {
		self, err := os.Executable()
		require.NoError(b, err)
		cfg.Command, cfg.Env = []string{self}, []string{asEngine + "=1"}
	}
	pool, err := process.New(cfg, process.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- pool.Run(ctx) }()
	end = func() {
		cancel()
		<-ended
	}
	// A start is not to be measured; what is not there yet starts in the first turn.
	require.Eventually(b, func() bool { return len(ownChildren(b)) > 0 && settled(b) }, time.Minute, 50*time.Millisecond)
	return pool, end
}

// settled reports whether no child takes processor time.
func settled(b *testing.B) bool {
	before := children(b)
	<-time.After(100 * time.Millisecond)
	return children(b) == before
}

// children is the processor time of the children that live, in milliseconds.
func children(b *testing.B) (ms float64) {
	for _, ticks := range ownChildren(b) {
		ms += float64(ticks) * 10 // of 1/100 s, as the kernel gives them out
	}
	return ms
}

// ownChildren are the living children of this process with their processor time.
func ownChildren(b testing.TB) map[int]int64 {
	found := map[int]int64{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(b, err)
	for _, file := range stats {
		body, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		at := bytes.LastIndexByte(body, ')') // of the name, which may hold anything
		fields := strings.Fields(string(body[at+1:]))
		if fields[1] != strconv.Itoa(os.Getpid()) || fields[0] == "Z" {
			continue
		}
		pid, err := strconv.Atoi(string(body[:bytes.IndexByte(body, ' ')]))
		require.NoError(b, err)
		for _, ticks := range fields[11:13] { // user and system
			n, err := strconv.ParseInt(ticks, 10, 64)
			require.NoError(b, err)
			found[pid] += n
		}
	}
	return found
}
