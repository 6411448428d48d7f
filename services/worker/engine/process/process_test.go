package process_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/internal/leaktest"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/imaging"
	"imagemill/services/worker/engine/process"
)

// roleVariable makes the test binary a child: its value says which one.
const roleVariable = "IMAGEMILL_PROCESS_TEST_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVariable); role {
	case "":
		leaktest.Main(m)
	case "parent":
		parent()
	default:
		child(role)
	}
}

// child serves as a real one does, but for what its role says.
func child(role string) {
	if role == "mute" {
		<-context.Background().Done()
	}
	if role == "broken" {
		fmt.Fprintln(os.Stderr, "cannot start today")
		os.Exit(3)
	}
	line, err := process.Parent()
	if err == nil {
		var e engine.Engine = actor{imaging.New(), line}
		switch role {
		case "nothing":
			e = nothing{}
		case "intruder":
			e = newIntruder()
		}
		err = process.Serve(context.Background(), line, e, process.About{
			Version: "1.2.3+test", Abilities: engine.Abilities{Engine: "test", Out: []pipeline.Format{pipeline.PNG}},
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// order reads what an original tells its engine to do.
func order(job engine.Job) (verb, argument string) {
	original, done, err := job.Original()
	if err != nil {
		return "", ""
	}
	defer done()
	text := make([]byte, 4<<10)
	n, _ := original.ReadAt(text, 0)
	verb, argument, _ = strings.Cut(string(text[:n]), " ")
	return verb, argument
}

// nothing is an engine that writes one empty file for each rendition.
type nothing struct{}

func (nothing) Render(_ context.Context, job engine.Job) (engine.Report, error) {
	r := engine.Report{Engine: "nothing", Original: engine.Picture{Format: "png", Width: 64, Height: 64, Orientation: 1, Frames: 1}}
	for _, w := range job.Pipeline.Renditions {
		file := filepath.Join(job.Dir, w.Name+".png")
		f, err := engine.CreateScratch(file)
		if err != nil {
			return r, err
		}
		if err := f.Close(); err != nil {
			return r, err
		}
		r.Renditions = append(r.Renditions, engine.Rendition{Name: w.Name, File: file, Width: 32, Height: 32, Format: pipeline.PNG, ContentType: "image/png"})
	}
	return r, nil
}

// actor is an engine that does what its original tells it to.
type actor struct {
	engine.Engine
	line *process.Line
}

func (a actor) Render(ctx context.Context, job engine.Job) (engine.Report, error) {
	switch verb, argument := order(job); verb {
	case "panic":
		go func() { panic("a decoder's own goroutine") }()
		<-ctx.Done()
	case "exit":
		os.Exit(7)
	case "hang":
		if argument != "" {
			_ = os.WriteFile(argument, nil, 0o600)
		}
		<-make(chan struct{})
	case "wait": // says that it has begun, and waits for leave to end
		_ = os.WriteFile(argument+".begun", nil, 0o600)
		for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
			if _, err := os.Stat(argument + ".end"); err == nil {
				return engine.Report{}, fault.New(fault.Invalid, "ended as it was told")
			}
		}
	case "close":
		process.End(a.line)
		<-make(chan struct{})
	case "print":
		fmt.Print("hello, I am a log line on the wrong stream")
		return engine.Report{}, fault.New(fault.Invalid, "printed")
	case "rubbish":
		fmt.Fprint(process.Out(a.line), "hello, I am no frame at all, am I?")
	case "text":
		fmt.Fprint(process.Out(a.line), "\x00\x00\x00\x05hello")
	case "huge":
		_ = binary.Write(process.Out(a.line), binary.BigEndian, uint32(1<<31))
	case "steal":
		return engine.Report{Renditions: []engine.Rendition{{Name: "default", File: argument}}}, nil
	case "pid":
		return engine.Report{}, fault.New(fault.Invalid, strconv.Itoa(os.Getpid())+" "+strings.Join(os.Environ(), ";"))
	case "fail":
		return engine.Report{}, fault.Wrap(fault.TooLarge, "public words", os.ErrClosed).WithField("a.b")
	}
	return a.Engine.Render(ctx, job)
}

// newPool runs a pool of children in a role until the test ends.
func newPool(t testing.TB, role string, change func(*process.Config)) (*process.Pool, *log) {
	t.Helper()
	cfg := process.Config{
		Command: []string{self(t)}, Env: []string{roleVariable + "=" + role}, Size: 2,
		WallTime: 2 * time.Minute, StartTime: time.Minute, RetryDelay: time.Millisecond, Scratch: t.TempDir(),
		Sandbox: process.SandboxOff, // the actor leaves marks; TestConformance and the intruders have it on
	}
	if change != nil {
		change(&cfg)
	}
	return runPool(t, cfg, nil)
}

func self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	return path
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// runPool runs a pool until the test ends.
func runPool(t testing.TB, cfg process.Config, metrics prometheus.Registerer) (*process.Pool, *log) {
	t.Helper()
	out := &log{}
	pool, err := process.New(cfg, process.Deps{Log: slog.New(slog.NewTextHandler(out, nil)), Metrics: metrics})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- pool.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return pool, out
}

// log keeps what the pool has logged.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// do renders an original that is a command to the actor.
func do(t testing.TB, pool *process.Pool, text string, wall time.Duration) error {
	t.Helper()
	source := filepath.Join(t.TempDir(), "original")
	require.NoError(t, os.WriteFile(source, []byte(text), 0o600))
	_, err := enginetest.Suite{Engine: pool}.RenderFile(t, source, "", engine.Limits{WallTime: wall})
	return err
}

// healthy demands that the next pictures are served.
func healthy(t testing.TB, pool *process.Pool) {
	t.Helper()
	for range 4 {
		_, err := enginetest.Suite{Engine: pool}.Render(t, enginetest.PNG(t, enginetest.Quadrants(8, 8)), "")
		require.NoError(t, err)
	}
}

// eventually polls a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, time.Minute, 2*time.Millisecond, what)
}

// isolated is the sandbox as a worker has it by default.
func isolated(c *process.Config) { c.Sandbox, c.MemoryBytes = process.SandboxAuto, 1<<30 }

func TestConformance(t *testing.T) {
	pool, _ := newPool(t, "engine", isolated)
	enginetest.Run(t, pool)
	enginetest.Conform(t, pool, imaging.Abilities())
}

func TestHostile(t *testing.T) {
	if testing.Short() {
		t.Skip("two thousand files take a while")
	}
	enginetest.Hostile(t, enginetest.Assault{
		Pool: func(t *testing.T) engine.Engine {
			pool, _ := newPool(t, "engine", isolated)
			healthy(t, pool)
			return pool
		},
		Can: imaging.Abilities(), Wall: 30 * time.Second, MemoryBytes: 1 << 30,
	})
}

func TestDeathsAreContained(t *testing.T) {
	pool, out := newPool(t, "engine", nil)
	for _, c := range []struct {
		text string
		wall time.Duration
		says string
	}{
		{"panic", 0, "the engine crashed: exit status 2 (panic: a decoder's own goroutine"},
		{"exit", 0, "the engine crashed: exit status 7"},
		{"hang", 50 * time.Millisecond, "the engine was killed after 50ms"},
		{"close", 0, "the engine stopped answering"},
		{"rubbish", 0, "the engine answered rubbish"},
		{"text", 0, "the engine answered rubbish"},
		{"huge", 0, "the engine answered rubbish (not a frame: it claims 2147483648 bytes)"},
		{"steal " + os.Args[0], 0, "a result is not where it should be"},
		{"steal " + filepath.Join(t.TempDir(), "none"), 0, "a result is not where it should be"},
	} {
		err := do(t, pool, c.text, c.wall)
		require.Error(t, err, c.text)
		assert.True(t, engine.Died(err), "%s: %v", c.text, err)
		assert.False(t, engine.Final(err), c.text)
		assert.Equal(t, fault.Unavailable, fault.KindOf(err), c.text)
		assert.Contains(t, fault.As(err).Public, c.says, c.text)
		healthy(t, pool)
	}
	assert.Contains(t, fault.As(do(t, pool, "print", 0)).Public, "printed", "standard output is not the line")
	assert.Contains(t, out.String(), "a decoder's own goroutine", "the last words are in the log")
	require.NoError(t, pool.Ready())
}

func TestFailuresKeepTheirMeaning(t *testing.T) {
	pool, _ := newPool(t, "engine", nil)
	e := fault.As(do(t, pool, "fail", 0))
	assert.Equal(t, fault.TooLarge, e.Kind)
	assert.Equal(t, "public words", e.Public)
	assert.Equal(t, "a.b", e.Field)
	assert.ErrorContains(t, e, "file already closed")
	assert.False(t, engine.Died(e))
}

func TestAllDieAtOnceAndAreReplaced(t *testing.T) {
	pool, _ := newPool(t, "engine", nil)
	var wait sync.WaitGroup
	for range 12 {
		wait.Go(func() { assert.True(t, engine.Died(do(t, pool, "exit", 0))) })
	}
	wait.Wait()
	healthy(t, pool)
}

func TestCancelledCallersLeaveTheirChild(t *testing.T) {
	pool, _ := newPool(t, "engine", func(c *process.Config) { c.Size = 1 })
	healthy(t, pool)
	source := filepath.Join(t.TempDir(), "original")
	require.NoError(t, os.WriteFile(source, []byte("hang"), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := pool.Render(ctx, engine.Job{Source: source, Dir: t.TempDir(), Pipeline: pipeline.DefaultPresets()["small"]})
	assert.Equal(t, fault.DeadlineExceeded, fault.KindOf(err))
	assert.False(t, engine.Died(err), "the caller gave up; the engine did nothing wrong")
	healthy(t, pool)
}

// whois asks a child for its process ID and its environment.
func whois(t testing.TB, pool *process.Pool) (pid, env string) {
	pid, env, _ = strings.Cut(fault.As(do(t, pool, "pid", 0)).Public, " ")
	return pid, env
}

func TestChildrenAreRecycled(t *testing.T) {
	pool, _ := newPool(t, "engine", func(c *process.Config) { c.Size, c.Recycle = 1, 2 })
	seen := map[string]int{}
	for range 6 {
		pid, _ := whois(t, pool)
		seen[pid]++
	}
	assert.Len(t, seen, 3, "%v", seen)
}

func TestIdleDeathsCostNobodyAnAttempt(t *testing.T) {
	pool, out := newPool(t, "engine", func(c *process.Config) { c.Size = 1 })
	pid, _ := whois(t, pool)
	id, err := strconv.Atoi(pid)
	require.NoError(t, err)
	p, err := os.FindProcess(id)
	require.NoError(t, err)
	require.NoError(t, p.Kill())
	eventually(t, "the death is noticed", func() bool { return strings.Contains(out.String(), "idle engine process died") })
	healthy(t, pool)
}

func TestChildrenSeeNoSecrets(t *testing.T) {
	t.Setenv("IMAGEMILL_CLUSTER_TOKEN", "secret-token")
	pool, _ := newPool(t, "engine", func(c *process.Config) { c.MemoryBytes = 123 << 20; c.Threads = 3 })
	_, env := whois(t, pool)
	assert.NotContains(t, env, "secret-token")
	assert.Contains(t, env, "GOMEMLIMIT=96731136")
	assert.Contains(t, env, "GOMAXPROCS=3")
}

func TestChildrenThatDoNotStartAreReported(t *testing.T) {
	for role, says := range map[string]string{"broken": "cannot start today", "mute": "no greeting"} {
		pool, _ := newPool(t, role, func(c *process.Config) {
			if role == "mute" {
				c.StartTime = 200 * time.Millisecond
			}
		})
		require.Error(t, pool.Ready())
		eventually(t, "the start fails", func() bool { return strings.Contains(fmt.Sprint(pool.Ready()), says) })
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := pool.Render(ctx, engine.Job{Source: os.Args[0], Pipeline: pipeline.DefaultPresets()["small"]})
		assert.Equal(t, fault.DeadlineExceeded, fault.KindOf(err))
		cancel()
	}
	pool, _ := newPool(t, "", func(c *process.Config) { c.Command = []string{filepath.Join(t.TempDir(), "none")} })
	eventually(t, "the start fails", func() bool { return strings.Contains(fmt.Sprint(pool.Ready()), "start engine") })
}

func TestStopKillsWhatIsAtWork(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	pool, err := process.New(process.Config{Command: []string{self}, Env: []string{roleVariable + "=engine"}, Size: 1, Sandbox: process.SandboxOff},
		process.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- pool.Run(ctx) }()
	healthy(t, pool)
	failed, mark := make(chan error, 1), filepath.Join(t.TempDir(), "at-work")
	go func() { failed <- do(t, pool, "hang "+mark, 0) }()
	eventually(t, "the child is at work", func() bool { _, err := os.Stat(mark); return err == nil })
	cancel()
	require.NoError(t, <-ended)
	err = <-failed
	assert.Equal(t, fault.Unavailable, fault.KindOf(err))
	assert.False(t, engine.Died(err), "stopping is no death: %v", err)
	assert.Equal(t, fault.Unavailable, fault.KindOf(do(t, pool, "pid", 0)))
}

// parent is a process that is killed while its children work.
func parent() {
	self, _ := os.Executable()
	pool, err := process.New(process.Config{Command: []string{self}, Env: []string{roleVariable + "=engine"}, Size: 1, Sandbox: process.SandboxOff},
		process.Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		os.Exit(1)
	}
	go func() { _ = pool.Run(context.Background()) }()
	_, err = pool.Render(context.Background(), engine.Job{Source: os.Args[1], Dir: os.TempDir(), Pipeline: pipeline.DefaultPresets()["small"]})
	fmt.Println(fault.As(err).Public)
	_, _ = os.Stdin.Read(make([]byte, 1))
	os.Exit(0)
}

func TestChildrenDieWithTheirParent(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("signal 0 does not exist there")
	}
	source := filepath.Join(t.TempDir(), "original")
	require.NoError(t, os.WriteFile(source, []byte("pid"), 0o600))
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, source)
	cmd.Env = append(os.Environ(), roleVariable+"=parent")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	defer in.Close()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var pid int
	_, err = fmt.Fscan(out, &pid)
	require.NoError(t, err)
	require.True(t, alive(pid))
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	eventually(t, "the child ends", func() bool { return !alive(pid) })
}

// alive looks for a process that is not waiting to be reaped by init.
func alive(pid int) bool {
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		return !strings.Contains(string(stat), ") Z ")
	}
	return exec.Command("kill", "-0", strconv.Itoa(pid)).Run() == nil
}

func TestConfigNamesTheSetting(t *testing.T) {
	ok := process.Config{Command: []string{"x"}}
	require.NoError(t, ok.WithDefaults().Validate())
	for says, change := range map[string]func(*process.Config){
		"command": func(c *process.Config) { c.Command = nil }, "size": func(c *process.Config) { c.Size = -1 },
		"wall time": func(c *process.Config) { c.WallTime = -1 }, "start time": func(c *process.Config) { c.StartTime = -1 },
		"retry delay": func(c *process.Config) { c.RetryDelay = -1 }, "rest": func(c *process.Config) { c.Rest = -1 }, "recycle": func(c *process.Config) { c.Recycle = -1 },
		"memory": func(c *process.Config) { c.MemoryBytes = -1 }, "threads": func(c *process.Config) { c.Threads = -1 },
	} {
		cfg := ok
		change(&cfg)
		_, err := process.New(cfg, process.Deps{Log: slog.New(slog.DiscardHandler)})
		assert.ErrorContains(t, err, "engine "+says)
	}
	_, err := process.New(ok, process.Deps{})
	assert.ErrorContains(t, err, "logger")
}

// A worker runs the pool beside its other parts and renders through it.
func ExamplePool() {
	pool, err := process.New(
		process.Config{Command: []string{"imagemill", "engine"}, Size: 2, MemoryBytes: 1 << 30},
		process.Deps{Log: slog.Default()},
	)
	if err != nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { _ = pool.Run(ctx) }()
	report, err := pool.Render(ctx, engine.Job{
		Source: "scratch/original", Dir: "scratch", Pipeline: pipeline.DefaultPresets()["thumbnail"],
	})
	switch {
	case engine.Died(err):
		fmt.Println("one death, counted; try again:", err)
	case engine.Final(err):
		fmt.Println("failed for good:", fault.As(err).Public)
	case err == nil:
		fmt.Println(report.Renditions[0].File)
	}
}

// BenchmarkTiny is the cost of a tiny picture through two children; it
// reports pictures a second.
func BenchmarkTiny(b *testing.B) {
	pool, _ := newPool(b, "engine", nil)
	healthy(b, pool)
	dir := b.TempDir()
	source := filepath.Join(dir, "original")
	require.NoError(b, os.WriteFile(source, enginetest.PNG(b, enginetest.Quadrants(64, 64)), 0o600))
	job := engine.Job{Source: source, Dir: dir, Pipeline: pipeline.DefaultPresets()["default"]}
	b.SetParallelism(2)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		own := job
		own.Dir = b.TempDir()
		for pb.Next() {
			if _, err := pool.Render(b.Context(), own); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pictures/s")
}

// BenchmarkProtocol is what a job costs beside the engine's own work: the
// children have an engine that does nothing.
func BenchmarkProtocol(b *testing.B) {
	pool, _ := newPool(b, "nothing", nil)
	dir := b.TempDir()
	source := filepath.Join(dir, "original")
	require.NoError(b, os.WriteFile(source, enginetest.PNG(b, enginetest.Quadrants(64, 64)), 0o600))
	job := engine.Job{Source: source, Dir: dir, Pipeline: pipeline.DefaultPresets()["default"]}
	b.SetParallelism(1)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		own := job
		own.Dir = b.TempDir()
		for pb.Next() {
			if _, err := pool.Render(b.Context(), own); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}
