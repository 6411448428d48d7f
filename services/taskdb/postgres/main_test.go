//go:build unix

package postgres_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/postgres"
	"imagemill/services/taskdb/postgres/postgrestest"
	"imagemill/services/taskdb/taskdbtest"
)

// server is the one that all tests share which do not harm theirs.
var server postgrestest.Shared

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		server.Stop()
		os.Exit(code)
	}), goleak.IgnoreAnyFunction("os/exec.(*Cmd).Wait"))
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// open gives a store in a database, a new one where none is named.
func open(t testing.TB, env taskdbtest.Env, database ...string) *postgres.Store {
	t.Helper()
	cfg := env.Config
	if len(database) > 0 {
		cfg.Database = database[0]
	} else {
		cfg.Database = server.Database(t)
	}
	s, err := postgres.Open(t.Context(), cfg, postgres.Deps{Log: quiet(), Events: env.Events, Now: env.Now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.Eventually(t, func() bool { return len(s.Missing()) == 0 }, time.Minute, time.Millisecond, "%v", s.Missing())
	return s
}

// real is the world as it is, with the database's clock.
func real() taskdbtest.Env { return taskdbtest.Env{Config: taskdbtest.Config()} }

func TestPostgres(t *testing.T) {
	taskdbtest.Run(t, func(t *testing.T, env taskdbtest.Env) taskdb.Store { return open(t, env) })
}

func TestClientOverPostgres(t *testing.T) {
	taskdbtest.Run(t, func(t *testing.T, env taskdbtest.Env) taskdb.Store {
		svc, err := taskdb.New(env.Config, taskdb.Deps{Log: quiet(), Instance: "t1", Version: "test", Store: open(t, env)})
		require.NoError(t, err)
		srv := httptest.NewServer(svc.Handler())
		tr := &http.Transport{}
		t.Cleanup(func() { tr.CloseIdleConnections(); srv.Close() })
		return taskdb.NewClient(srv.URL, &http.Client{Transport: tr})
	})
}
