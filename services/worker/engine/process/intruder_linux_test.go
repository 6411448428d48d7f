package process_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/imaging"
	"imagemill/services/worker/engine/process"
)

// intruder is an engine whose picture has taken it over. What it is refused it
// says in its answer; what is worse ends it.
type intruder struct{ engine.Engine }

func newIntruder() engine.Engine { return intruder{imaging.New()} }

func (i intruder) Render(ctx context.Context, job engine.Job) (engine.Report, error) {
	verb, argument := order(job)
	result := filepath.Join(job.Dir, "default.png")
	var err error
	switch verb {
	case "abort":
		err = syscall.Kill(os.Getpid(), syscall.SIGABRT)
		<-ctx.Done()
	case "balloon": // at once
		err = hold(nil, 16<<20)
	case "swell": // slowly
		err = hold(time.NewTicker(2*time.Millisecond).C, 1<<20)
	case "fork":
		_, err = syscall.ForkExec("/bin/true", []string{"true"}, nil)
	case "exec":
		err = syscall.Exec("/bin/true", []string{"true"}, nil)
	case "socket":
		_, err = net.Dial("tcp", "127.0.0.1:1")
	case "read":
		_, err = os.ReadFile(argument)
	case "write":
		err = os.WriteFile(argument, []byte("was here"), 0o600)
	case "symlink":
		if err = os.Symlink(argument, result); err == nil {
			return answer(result, 1), nil
		}
	case "claim": // another's file
		return answer(argument, 1), nil
	case "fill":
		for n := 0; err == nil; n++ {
			err = os.WriteFile(filepath.Join(job.Dir, strconv.Itoa(n)), full(4<<20), 0o600)
		}
	case "large":
		var f *os.File
		if f, err = os.OpenFile(result, os.O_WRONLY|os.O_CREATE, 0o600); err == nil {
			_, err = f.WriteAt([]byte{1}, 64<<20)
		}
	case "kill":
		err = syscall.Kill(os.Getppid(), syscall.SIGKILL)
	case "stop":
		err = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		<-ctx.Done()
	default:
		return i.Engine.Render(ctx, job)
	}
	return engine.Report{}, fault.Wrap(fault.Invalid, fmt.Sprint("refused: ", err), err)
}

// hold takes ever more memory, at once or at every tick.
func hold(tick <-chan time.Time, step int) error {
	var held [][]byte
	for len(held) < 1<<16 {
		if tick != nil {
			<-tick
		}
		held = append(held, full(step))
	}
	return fmt.Errorf("%d steps were granted", len(held))
}

// full is memory that is really there.
func full(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 1
	}
	return b
}

func answer(file string, bytes int64) engine.Report {
	return engine.Report{Renditions: []engine.Rendition{{Name: "default", File: file, Bytes: bytes}}}
}

// newIntruders runs a pool of them in the sandbox, small enough to fill.
func newIntruders(t testing.TB) (*process.Pool, *log) {
	pool, out := newPool(t, "intruder", func(c *process.Config) {
		isolated(c)
		c.Size, c.MemoryBytes, c.ScratchBytes = 1, 192<<20, 32<<20
	})
	healthy(t, pool)
	for _, notice := range pool.Notices() {
		if os.Getenv("IMAGEMILL_CI") != "1" && !raceDetector {
			t.Skip(notice)
		}
	}
	return pool, out
}

// Each is contained, the next image is served, and the reason is in the error.
func TestIntrudersAreContained(t *testing.T) {
	pool, _ := newIntruders(t)
	precious := filepath.Join(t.TempDir(), "precious")
	require.NoError(t, os.WriteFile(precious, []byte("1"), 0o600))
	const ended = "the engine was ended by the kernel: it tried what no picture needs"
	for _, c := range []struct {
		order string
		wall  time.Duration
		died  bool
		says  string
	}{
		{"abort", 0, true, "the engine crashed: "},
		{"balloon", 0, true, "the engine ran out of memory (limit 192 MiB)"},
		{"swell", 0, true, "the engine ran out of memory (limit 192 MiB)"},
		{"fork", 0, true, ended},
		{"exec", 0, true, ended},
		{"socket", 0, true, ended},
		{"kill", 0, true, ended},
		{"stop", 300 * time.Millisecond, true, "the engine was killed after 300ms"},
		{"read /etc/passwd", 0, false, "open /etc/passwd: permission denied"},
		{"read /proc/self/environ", 0, false, "permission denied"},
		{"read /proc/self/fd/0", 0, false, "permission denied"},
		{"read " + precious, 0, false, "permission denied"},
		{"write " + precious, 0, false, "permission denied"},
		{"write " + precious + "2", 0, false, "permission denied"},
		{"symlink " + precious, 0, false, "operation not permitted"},
		{"claim " + precious, 0, true, "a result is not where it should be"},
		{"claim /etc/passwd", 0, true, "a result is not where it should be"},
		{"fill", 0, true, "the engine was killed: it wrote more than 32 MiB"},
		{"large", 0, false, "file too large"},
	} {
		t.Run(strings.ReplaceAll(c.order, "/", " "), func(t *testing.T) {
			err := do(t, pool, c.order, c.wall)
			require.Error(t, err)
			assert.Equal(t, c.died, engine.Died(err), "%v", err)
			assert.Contains(t, fault.As(err).Public, c.says)
			healthy(t, pool)
		})
	}
	text, err := os.ReadFile(precious)
	require.NoError(t, err)
	assert.Equal(t, "1", string(text))
	_, err = os.Stat(precious + "2")
	assert.True(t, errors.Is(err, os.ErrNotExist))
}

// What a picture leaves behind is gone before long, and the pool's folder with
// the pool.
func TestNothingIsLeftBehind(t *testing.T) {
	scratch := t.TempDir()
	t.Run("at work", func(t *testing.T) {
		pool, _ := newPool(t, "intruder", func(c *process.Config) { isolated(c); c.Size, c.Scratch = 1, scratch })
		healthy(t, pool)
		require.Error(t, do(t, pool, "large", 0))
		healthy(t, pool)
		files, err := filepath.Glob(filepath.Join(scratch, "*", "*", "*"))
		require.NoError(t, err)
		for _, name := range files {
			stat, err := os.Stat(name)
			require.NoError(t, err)
			require.Less(t, stat.Size(), int64(64<<10))
		}
	})
	left, err := os.ReadDir(scratch)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestTheSandboxIsReported(t *testing.T) {
	for mode, says := range map[process.Sandbox]string{
		process.SandboxAuto: "engine processes are isolated", process.SandboxOff: "switched off",
	} {
		metrics := prometheus.NewRegistry()
		pool, out := runPool(t, process.Config{
			Command: []string{self(t)}, Env: []string{roleVariable + "=engine"}, Size: 1, Sandbox: mode, MemoryBytes: 1 << 30,
		}, metrics)
		healthy(t, pool)
		healthy(t, pool)
		if mode == process.SandboxOff {
			require.Len(t, pool.Notices(), 1)
			require.Contains(t, pool.Notices()[0], "seccomp (switched off)")
		} else if len(pool.Notices()) > 0 {
			continue // this kernel lacks something; the notice says so
		}
		require.Equal(t, 1, strings.Count(out.String(), "sandbox="+string(mode)), "it is said once")
		require.Contains(t, out.String(), says)
		n, err := testutil.GatherAndCount(metrics, "imagemill_worker_sandbox")
		require.NoError(t, err)
		require.Equal(t, 9, n)
	}
}

func TestARequiredSandboxThatLacksSomethingEndsTheRun(t *testing.T) {
	pool, err := process.New(process.Config{
		Command: []string{self(t)}, Env: []string{roleVariable + "=engine"}, Size: 1,
		Sandbox: process.SandboxRequired, // and no limit on memory
	}, process.Deps{Log: discard()})
	require.NoError(t, err)
	require.ErrorContains(t, pool.Run(t.Context()), "a sandbox is required for engines, but here it lacks memory (no limit is set)")
	require.Error(t, pool.Ready())
}

// A child that holds on to too much is replaced after its picture.
func TestFatChildrenAreReplaced(t *testing.T) {
	pool, _ := newPool(t, "engine", func(c *process.Config) { c.Size, c.RecycleBytes = 1, 1 })
	first, _ := whois(t, pool)
	second, _ := whois(t, pool)
	require.NotEqual(t, first, second)
}
