package sqlite_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/leaktest"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/sqlite"
	"imagemill/services/taskdb/taskdbtest"
)

func TestMain(m *testing.M) {
	leaktest.Main(m)
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// open gives a store in a new folder, or, with a path, in that file.
func open(t testing.TB, env taskdbtest.Env, path ...string) *sqlite.Store {
	t.Helper()
	cfg := env.Config
	cfg.Path = filepath.Join(t.TempDir(), "new", "tasks #1%.db")
	if len(path) > 0 {
		cfg.Path = path[0]
	}
	s, err := sqlite.Open(t.Context(), cfg, sqlite.Deps{Log: quiet(), Events: env.Events, Now: env.Now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestSQLite(t *testing.T) {
	taskdbtest.Run(t, func(t *testing.T, env taskdbtest.Env) taskdb.Store { return open(t, env) })
}

func TestClientOverSQLite(t *testing.T) {
	taskdbtest.Run(t, func(t *testing.T, env taskdbtest.Env) taskdb.Store {
		svc, err := taskdb.New(env.Config, taskdb.Deps{Log: quiet(), Instance: "t1", Version: "test", Store: open(t, env)})
		require.NoError(t, err)
		srv := httptest.NewServer(svc.Handler())
		tr := &http.Transport{}
		t.Cleanup(func() { tr.CloseIdleConnections(); srv.Close() })
		return taskdb.NewClient(srv.URL, &http.Client{Transport: tr})
	})
}
