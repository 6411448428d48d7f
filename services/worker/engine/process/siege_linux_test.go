package process_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/process"
)

// Deaths of all kinds at once, with good pictures among them: each has its own
// reason, and no good picture pays for another's death.
func TestDeathsOfAllKindsAtOnce(t *testing.T) {
	pool, _ := newPool(t, "intruder", func(c *process.Config) {
		isolated(c)
		c.MemoryBytes, c.ScratchBytes = 192<<20, 32<<20
	})
	healthy(t, pool)
	lacking := len(pool.Notices()) > 0
	picture := enginetest.PNG(t, enginetest.Quadrants(8, 8))
	var wait sync.WaitGroup
	for range 6 {
		for order, says := range map[string]string{
			"abort": "the engine crashed", "balloon": "the engine ran out of memory", "stop": "the engine was killed after",
			"fill": "it wrote more than 32 MiB", "fork": "the engine was ended by the kernel",
		} {
			if lacking && (order == "fork" || order == "balloon") {
				continue // the notice says why
			}
			wait.Go(func() {
				wall := map[string]time.Duration{"stop": time.Second}[order]
				err := do(t, pool, order, wall)
				assert.True(t, engine.Died(err), "%s: %v", order, err)
				assert.Contains(t, fault.As(err).Public, says)
			})
		}
		wait.Go(func() {
			_, err := enginetest.Suite{Engine: pool}.Render(t, picture, "")
			assert.NoError(t, err)
		})
	}
	wait.Wait()
	healthy(t, pool)
	require.NoError(t, pool.Ready())
}

// A child that was stopped, while it idles and then while it is told to go, is
// late for its next picture like any other, and is buried all the same.
func TestAStoppedIdleChildIsReplaced(t *testing.T) {
	pool, _ := newPool(t, "engine", func(c *process.Config) { c.Size = 1 })
	pid, _ := whois(t, pool)
	id, err := strconv.Atoi(pid)
	require.NoError(t, err)
	stop(t, id)
	err = do(t, pool, "pid", 100*time.Millisecond)
	require.True(t, engine.Died(err), "%v", err)
	require.Contains(t, fault.As(err).Public, "the engine was killed after 100ms")
	healthy(t, pool)
	pid, _ = whois(t, pool)
	id, err = strconv.Atoi(pid)
	require.NoError(t, err)
	stop(t, id)
	pool.Resize(2)
	pool.Resize(1)
	require.NotPanics(t, func() { healthyAfter(t, pool) })
}

// stop stops a process and waits until all of it stands still.
func stop(t *testing.T, id int) {
	require.NoError(t, syscall.Kill(id, syscall.SIGSTOP))
	eventually(t, "the process stands still", func() bool {
		stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", id))
		for _, name := range stats {
			if stat, _ := os.ReadFile(name); !strings.Contains(string(stat), ") T ") {
				return false
			}
		}
		return err == nil && len(stats) > 0
	})
}

// healthyAfter lets pictures run into a stopped child until the pool has replaced it.
func healthyAfter(t *testing.T, pool *process.Pool) {
	eventually(t, "pictures are served again", func() bool {
		source := filepath.Join(t.TempDir(), "original")
		require.NoError(t, os.WriteFile(source, enginetest.PNG(t, enginetest.Quadrants(8, 8)), 0o600))
		_, err := enginetest.Suite{Engine: pool}.RenderFile(t, source, "", engine.Limits{WallTime: time.Second})
		return err == nil
	})
	healthy(t, pool)
}

// A child whose every picture is its last hangs, dies and is replaced without a
// picture too many being lost.
func TestHangsWhileChildrenAreRecycled(t *testing.T) {
	pool, _ := newPool(t, "engine", func(c *process.Config) { c.Recycle = 1 })
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() { assert.True(t, engine.Died(do(t, pool, "hang", 50*time.Millisecond))) })
		wait.Go(func() { assert.Contains(t, fault.As(do(t, pool, "pid", 0)).Public, " ") })
	}
	wait.Wait()
	healthy(t, pool)
}

// A full scratch folder is nobody's death: it is said, may be tried again, and ends
// with the fullness.
func TestAFullScratchFolder(t *testing.T) {
	scratch := t.TempDir()
	if err := syscall.Mount("none", scratch, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a file system of its own cannot be mounted here: %v", err)
	}
	defer func() { assert.NoError(t, syscall.Unmount(scratch, syscall.MNT_DETACH)) }()
	t.Run("full", func(t *testing.T) {
		pool, _ := newPool(t, "engine", func(c *process.Config) { isolated(c); c.Size, c.Scratch = 1, scratch })
		healthy(t, pool)
		filler := filepath.Join(scratch, "filler")
		_ = os.WriteFile(filler, full(2<<20), 0o600) // it takes what there is
		_, err := enginetest.Suite{Engine: pool}.Render(t, enginetest.PNG(t, enginetest.Scene(400, 300)), "")
		require.Error(t, err)
		require.False(t, engine.Died(err), "%v", err)
		require.False(t, engine.Final(err), "%v", err)
		require.False(t, strings.HasPrefix(fault.As(err).Public, "something went wrong"), "%v", err)
		require.NoError(t, os.Remove(filler))
		healthy(t, pool)
	})
}

// BenchmarkBombs is how fast the pool refuses what would take much.
func BenchmarkBombs(b *testing.B) {
	pool, _ := newPool(b, "engine", isolated)
	healthy(b, pool)
	enginetest.BenchBombs(b, pool)
}
