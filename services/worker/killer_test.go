package worker

import (
	"context"
	"log/slog"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/taskdb"
	"imagemill/services/worker/engine/process"
)

// An image that ends every engine process is given up after three, and says why.
func TestAnImageThatKillsItsEnginesIsFailed(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	cfg := DefaultConfig()
	cfg.Engines, cfg.Scratch = 1, t.TempDir()
	pc := cfg.EnginePool(self)
	pc.Env = []string{engineVariable + "=1"}
	pool, err := process.New(pc, process.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- pool.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	m := newMill(t, pool, nil)
	m.start(t)
	task := m.reaches(t, m.take(t), is(taskdb.Failed))
	require.Equal(t, 3, task.Deaths)
	require.Len(t, task.Failures, 3)
	for _, f := range task.Failures {
		require.True(t, f.Died)
		require.Contains(t, f.Reason, "the engine crashed: exit status 9")
	}
	require.Contains(t, task.Failures[2].Reason, "the image killed its worker 3 times; the last time: the engine crashed")
}
