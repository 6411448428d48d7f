package enginetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// What a run of hostile files takes from the environment.
const (
	// WholeVariable set to 1 runs every file through every pipeline, and 20,000
	// mutations; else each file takes one of the pipelines, in turn, and there are
	// a thousand mutations.
	WholeVariable = "IMAGEMILL_HOSTILE_ALL"
	// SeedVariable is the number that the mutations begin from; 1 without it.
	SeedVariable = "IMAGEMILL_HOSTILE_SEED"
	// MutationVariable repeats one mutation alone, by its number, through all pipelines.
	MutationVariable = "IMAGEMILL_HOSTILE_MUTATION"
)

// The numbers of mutations.
const (
	someMutations = 1000
	allMutations  = 20_000
)

// Assault is a pool of engine processes that hostile files are put through.
type Assault struct {
	// Pool starts a fresh one that ends with the test.
	Pool func(t *testing.T) engine.Engine
	// Can is what its engine can do.
	Can engine.Abilities
	// Wall is the time after which a process is killed that has not answered. A
	// picture that needs it has failed the test.
	Wall time.Duration
	// MemoryBytes is the limit of one process.
	MemoryBytes int64
}

// atOnce is how many pictures are put through at a time.
const atOnce = 2

// hostilePipelines reach, between them, every decoder, path and encoder: one that
// only makes the picture smaller; many renditions, of which one continues from
// another, with effects; animations; and everything that is read beside pixels. An
// original is its own watermark.
func hostilePipelines() []struct{ name, document string } {
	return []struct{ name, document string }{
		{"resize", `{"renditions":[{"name":"large","format":"jpeg","operations":[{"op":"resize","width":200,"height":200,"noEnlarge":true},{"op":"swapRedBlue"}]},
			{"name":"small","format":"auto","operations":[{"op":"resize","width":100,"noEnlarge":true}]}]}`},
		{"cascade", `{"renditions":[
			{"name":"a","format":"auto","operations":[{"op":"resize","width":240,"height":160,"fit":"cover","gravity":"attention"}]},
			{"name":"b","format":"png","colors":32,"operations":[{"op":"resize","width":120,"height":120,"fit":"pad"},{"op":"blur","sigma":2},{"op":"rotate","angle":30}]},
			{"name":"c","format":"tiff","operations":[{"op":"trim"},{"op":"resize","width":64,"noEnlarge":true},{"op":"sharpen","sigma":1},{"op":"roundCorners","percent":30}]},
			{"name":"d","format":"gif","operations":[{"op":"resize","megapixels":0.01,"noEnlarge":true},{"op":"pixelate","size":4},{"op":"sepia"},{"op":"hue","degrees":40}]}]}`},
		{"animation", `{"renditions":[
			{"name":"a","format":"gif","animated":true,"operations":[{"op":"resize","width":80,"noEnlarge":true}]},
			{"name":"b","format":"auto","animated":true,"operations":[{"op":"crop","width":50,"height":50,"gravity":"center"},{"op":"flip","horizontal":true}]}]}`},
		{"described", `{"describe":["exif","colors","blurhash","phash"],"renditions":[
			{"name":"a","format":"jpeg","quality":"auto","metadata":"keep","operations":[{"op":"resize","width":160,"noEnlarge":true},
				{"op":"watermark","image":"W","scale":0.3,"gravity":"southeast","opacity":0.5},{"op":"text","text":"mill","size":12,"x":2,"y":2}]},
			{"name":"b","format":"auto","maxBytes":20000,"metadata":"copyright","operations":[{"op":"crop","width":90,"height":70,"gravity":"entropy"}]},
			{"name":"c","format":"png","autoOrient":false,"operations":[{"op":"resize","width":48,"height":48,"fit":"stretch"},{"op":"extend","top":4,"left":4,"background":"#ff0000"},{"op":"grayscale"}]}]}`},
	}
}

// Hostile puts all hostile files, and then mutations of them, through an engine
// that survives what kills others. Each must end in a result or in a final error,
// without the death of a process; none may take longer than the limit, nor any
// process more memory than its own. It reports counts, the slowest, and the peak of
// memory, for each pipeline.
func Hostile(t *testing.T, a Assault) {
	corpus := newCorpus(t, a.Pool(t), a.Can)
	whole := os.Getenv(WholeVariable) == "1"
	seed, n := number(t, SeedVariable, 1), uint64(someMutations)
	if whole {
		n = allMutations
	}
	var first uint64
	one := os.Getenv(MutationVariable) != ""
	if one {
		first = number(t, MutationVariable, 0)
		n = first + 1
	}
	t.Run("bombs", func(t *testing.T) { Bombs(t, a.Pool(t)) })
	for i, p := range hostilePipelines() {
		t.Run(p.name, func(t *testing.T) {
			r := newRaid(t, a, p.document)
			var jobs []func() specimen
			for j, f := range corpus.files {
				if !one && (whole || j%len(hostilePipelines()) == i) {
					jobs = append(jobs, func() specimen { return f })
				}
			}
			for m := first; m < n; m++ {
				if one || int(m%uint64(len(hostilePipelines()))) == i {
					jobs = append(jobs, func() specimen { return corpus.mutation(seed, m) })
				}
			}
			r.run(t, jobs)
			t.Logf("seed %d: %s", seed, r)
		})
	}
}

// number reads a variable.
func number(t *testing.T, name string, without uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return without
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, name)
	return n
}

// raid is one pipeline over many files.
type raid struct {
	Assault
	engine   engine.Engine
	pipeline pipeline.Pipeline
	peak     *peak

	mu      sync.Mutex
	counts  map[string]int
	slowest time.Duration
	slow    string
}

func newRaid(t *testing.T, a Assault, document string) *raid {
	p, err := pipeline.Parse([]byte(document))
	require.NoError(t, err)
	p = p.Expand(a.Can.Has)
	p.Renditions = slices.DeleteFunc(p.Renditions, func(r pipeline.Rendition) bool { return !a.Can.Has(r.Format) })
	require.NoError(t, a.Can.Check(p))
	return &raid{Assault: a, engine: a.Pool(t), pipeline: p, peak: watchPeak(t), counts: map[string]int{}}
}

// run works through all jobs, a few at a time.
func (r *raid) run(t *testing.T, jobs []func() specimen) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range atOnce {
		dir := t.TempDir()
		wait.Go(func() {
			for i := next.Add(1); i <= int64(len(jobs)); i = next.Add(1) {
				r.one(t, dir, jobs[i-1]())
			}
		})
	}
	wait.Wait()
	assert.True(t, len(jobs) < 20 || r.counts["ok"] > len(jobs)/20, "many are good pictures: %s", r)
	if most := r.peak.most(); r.MemoryBytes > 0 {
		assert.LessOrEqual(t, most, r.MemoryBytes, "peak of memory of an engine process, in bytes")
	}
}

// one puts one file through, in a folder that it leaves empty.
func (r *raid) one(t *testing.T, dir string, s specimen) {
	source := filepath.Join(dir, "original")
	if !assert.NoError(t, os.WriteFile(source, s.bytes, 0o600)) {
		return
	}
	job := engine.Job{Source: source, Dir: dir, Pipeline: r.pipeline, Limits: engine.Limits{WallTime: r.Wall}, Assets: map[string]string{}}
	for _, asset := range r.pipeline.Assets() {
		job.Assets[asset.Key()] = source
	}
	start := time.Now()
	report, err := r.engine.Render(context.Background(), job)
	took := time.Since(start)
	outcome := "ok"
	switch {
	case err == nil:
		for _, made := range report.Renditions {
			assert.NoError(t, plausible(made), "%s", s.name)
		}
	case engine.Died(err):
		outcome = "died"
		assert.Fail(t, "an engine process died", "%s: %v", s.name, fault.As(err).Public)
	default:
		outcome = string(fault.KindOf(err))
		assert.True(t, engine.Final(err), "%s: %v", s.name, err)
		assert.NotContains(t, fault.As(err).Public, "something went wrong", "%s: %v", s.name, err)
	}
	r.mu.Lock()
	r.counts[outcome]++
	if took > r.slowest {
		r.slowest, r.slow = took, s.name
	}
	r.mu.Unlock()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	assert.NoError(t, err)
	for _, f := range files {
		assert.NoError(t, os.Remove(f))
	}
}

// String tells how the raid went.
func (r *raid) String() string {
	n := 0
	for _, c := range r.counts {
		n += c
	}
	return fmt.Sprintf("%d files: %v; slowest %s %s; peak of a process %d MiB",
		n, r.counts, r.slowest.Round(time.Millisecond), r.slow, r.peak.most()>>20)
}

// plausible holds a result to what the report says of it.
func plausible(r engine.Rendition) error {
	f, err := os.Open(r.File)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	stat, err := f.Stat()
	if err != nil {
		return err
	}
	head := make([]byte, 64)
	n, _ := f.ReadAt(head, 0)
	if format := sniff.Sniff(head[:n]); stat.Size() != r.Bytes || string(format) != string(r.Format) || r.Width < 1 || r.Height < 1 {
		return fmt.Errorf("rendition %s: it says %+v; its file has %d bytes of %s", r.Name, r, stat.Size(), format)
	}
	return nil
}
