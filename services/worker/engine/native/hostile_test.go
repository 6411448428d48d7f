//go:build vips

package native_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/native"
	"imagemill/services/worker/engine/process"
)

// asEngine makes the test's own program the child of a pool.
const asEngine = "IMAGEMILL_TEST_ENGINE"

func TestMain(m *testing.M) {
	if os.Getenv(asEngine) == "" {
		os.Exit(m.Run())
	}
	line, err := process.Parent()
	if err == nil {
		var e *native.Engine
		if e, err = native.New(switched()...); err == nil {
			err = process.Serve(context.Background(), line, e, process.About{})
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func newPool(t testing.TB, env ...string) engine.Engine {
	self, err := os.Executable()
	require.NoError(t, err)
	pool, err := process.New(process.Config{
		Command: []string{self}, Env: append(env, asEngine+"=1"), Size: 2, MemoryBytes: 1 << 30,
		StartTime: time.Minute, WallTime: 5 * time.Minute,
	}, process.Deps{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- pool.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return pool
}

func TestHostileFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("two thousand files")
	}
	can, err := native.Abilities()
	require.NoError(t, err)
	enginetest.Hostile(t, enginetest.Assault{Pool: func(t *testing.T) engine.Engine { return newPool(t) }, Can: can, Wall: 30 * time.Second, MemoryBytes: 1 << 30})
}

// BenchmarkBombs is how fast the pool refuses what would take much.
func BenchmarkBombs(b *testing.B) { enginetest.BenchBombs(b, newPool(b)) }
