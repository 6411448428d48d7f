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
	restarts := 0
	q := taskdbtest.Quarrel{
		Store: func() taskdb.Store { return store.Load() }, Calls: 8000,
		Trouble: func() {
			<-time.After(150 * time.Millisecond)
			require.NoError(t, store.Load().Close())
			store.Store(open(t, env, path))
			restarts++
		},
	}
	require.Equal(t, porcupine.Ok, q.Run(t))
	require.Positive(t, restarts)
}
