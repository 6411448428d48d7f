package taskdb_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/leaktest"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/taskdbtest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func memory(_ *testing.T, env taskdbtest.Env) taskdb.Store {
	return taskdb.NewMemory(env.Config, taskdb.MemoryDeps{Events: env.Events, Now: env.Now})
}

// serveStore puts a store behind HTTP and gives its address and a way there.
func serveStore(t *testing.T, cfg taskdb.Config, store taskdb.Store) (string, *http.Client) {
	t.Helper()
	svc, err := taskdb.New(cfg, taskdb.Deps{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Instance: "t1", Version: "test", Store: store,
	})
	require.NoError(t, err)
	srv := httptest.NewServer(svc.Handler())
	tr := &http.Transport{}
	t.Cleanup(func() { tr.CloseIdleConnections(); srv.Close() })
	return srv.URL, &http.Client{Transport: tr}
}

func TestMemory(t *testing.T) { taskdbtest.Run(t, memory) }

func TestClientOverMemory(t *testing.T) {
	taskdbtest.Run(t, func(t *testing.T, env taskdbtest.Env) taskdb.Store {
		base, hc := serveStore(t, env.Config, memory(t, env))
		return taskdb.NewClient(base, hc)
	})
}

func TestANewcomerDoesNotWaitForABacklog(t *testing.T) {
	s := taskdb.NewMemory(taskdbtest.Config(), taskdb.MemoryDeps{})
	taskdbtest.FillOwned(t, s, 50_000, func(uint64) string { return taskdbtest.Backlog })
	taskdbtest.Fair(t, s)
}
