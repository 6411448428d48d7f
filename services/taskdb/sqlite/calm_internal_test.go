package sqlite

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// held is how many bytes of memory this process has, without Go's garbage. SQLite's
// pages do not lie in Go's heap.
func held(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("how much memory a process has is read from Linux' /proc")
	}
	_, value, ok := strings.Cut(string(status), "RssAnon:")
	require.True(t, ok)
	var kib int64
	_, err = fmt.Sscan(value, &kib)
	require.NoError(t, err)
	return kib << 10
}

func TestACalmDatabaseGivesItsCacheBack(t *testing.T) {
	s := openStore(t)
	for n := range 14_000 {
		if n%1000 == 999 {
			require.NoError(t, s.queue.Do(t.Context(), func(*session, time.Time) error { return nil })) // all before are committed
		}
		require.NoError(t, s.queue.Put(creating(t.Context(), n)))
	}
	require.NoError(t, s.queue.Do(t.Context(), func(*session, time.Time) error { return nil }))
	s.calm.Stop() // not before it is measured
	busy := held(t)
	s.calm.Reset(0) // as if nothing had come for a while
	require.Eventually(t, func() bool { return held(t) < busy-(3<<20) }, time.Minute, 10*time.Millisecond,
		"the writer's cache, which holds all of them, is given back")
	require.EqualValues(t, 14_000, total(t, s))
}
