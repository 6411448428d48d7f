package sqlite_test

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/sqlite"
	"imagemill/services/taskdb/taskdbtest"
)

// Sixteen workers claim, renew, finish, fail, release, cancel and retry while the
// store is closed and opened anew.
func TestLinearizable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tasks.db")
	env := taskdbtest.Env{Config: taskdbtest.LinearConfig(), Now: time.Now}
	var store atomic.Pointer[sqlite.Store]
	store.Store(open(t, env, path))
	calls := 8000
	if testing.Short() {
		calls = 3000
	}
	restarts, pause := 0, 150*time.Millisecond
	q := taskdbtest.Quarrel{
		Store: func() taskdb.Store { return store.Load() }, Calls: calls, Troubles: 1,
		Trouble: func() {
			<-time.After(pause)
			begun := time.Now()
			require.NoError(t, store.Load().Close())
			store.Store(open(t, env, path))
			restarts++
			pause = max(pause, 2*time.Since(begun)) // it is open for most of the time
		},
	}
	require.Equal(t, porcupine.Ok, q.Run(t))
	require.Positive(t, restarts)
}
