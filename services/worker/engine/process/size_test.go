package process_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/process"
)

// jobs are calls that wait in their child until they are told to end.
type jobs struct {
	t     *testing.T
	pool  *process.Pool
	paths []string
	ended chan error
}

// begin makes n more calls; how many of them get a child is the pool's business.
func (j *jobs) begin(n int) {
	for range n {
		path := filepath.Join(j.t.TempDir(), fmt.Sprint(len(j.paths)))
		j.paths = append(j.paths, path)
		source := path + ".original"
		require.NoError(j.t, os.WriteFile(source, []byte("wait "+path), 0o600))
		go func() {
			_, err := enginetest.Suite{Engine: j.pool}.RenderFile(j.t, source, "", engine.Limits{})
			j.ended <- err
		}()
	}
}

// atWork is which calls have begun and have not been told to end.
func (j *jobs) atWork() (paths []string) {
	for _, path := range j.paths {
		_, begun := os.Stat(path + ".begun")
		if _, told := os.Stat(path + ".end"); begun == nil && told != nil {
			paths = append(paths, path)
		}
	}
	return paths
}

// end lets a call that is at work end, and checks that nothing broke it off.
func (j *jobs) end(path string) {
	require.NoError(j.t, os.WriteFile(path+".end", nil, 0o600))
	err := <-j.ended
	require.True(j.t, fault.Is(err, fault.Invalid), "%v", err)
	require.ErrorContains(j.t, err, "ended as it was told")
}

func TestAPoolGrowsAndShrinksAtWork(t *testing.T) {
	pool, out := newPool(t, "engine", func(c *process.Config) { c.Size = 1 })
	j := &jobs{t: t, pool: pool, ended: make(chan error, 16)}
	j.begin(6)
	working := func(n int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d at work", n), func() bool { return len(j.atWork()) == n })
	}
	working(1)
	pool.Resize(4)
	require.Equal(t, 4, pool.Size())
	working(4)
	pool.Resize(1)
	for _, path := range j.atWork() { // they end as if nothing had happened
		j.end(path)
	}
	working(1) // and one child alone takes up the other two
	j.end(j.atWork()[0])
	working(1)
	pool.Resize(2)
	j.begin(1)
	working(2)
	j.end(j.atWork()[0])
	j.end(j.atWork()[0])
	require.NotContains(t, out.String(), "died")
	healthy(t, pool)
}

func TestAPoolsSizeIsBounded(t *testing.T) {
	pool, err := process.New(process.Config{Command: []string{"x"}, Size: 3}, process.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.Equal(t, 3, pool.Size())
	for want, n := range map[int]int{1: -5, 1024: 5000, 7: 7} {
		pool.Resize(n) // it does not run; it only takes note
		require.Equal(t, want, pool.Size())
	}
}
