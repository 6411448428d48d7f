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

	"imagemill/internal/leaktest"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/postgres"
	"imagemill/services/taskdb/postgres/postgrestest"
	"imagemill/services/taskdb/taskdbtest"
)

// server is the one that all tests share which do not harm theirs.
var server = &postgres.Shared

// measured is the one of the benchmarks, which are about the disk as well.
var measured = postgrestest.Shared{OnDisk: true}

func TestMain(m *testing.M) {
	code := leaktest.Run(m, goleak.IgnoreAnyFunction("os/exec.(*Cmd).Wait"))
	server.Stop()
	measured.Stop()
	os.Exit(code)
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// open gives a store in a database, where none is named in a new one whose tables are
// there: what makes them is tried by tests of its own.
func open(t testing.TB, env taskdbtest.Env, database ...string) *postgres.Store {
	t.Helper()
	if len(database) > 0 {
		return openIn(t, env, database[0])
	}
	where := server
	if _, benchmark := t.(*testing.B); benchmark {
		where = &measured
	}
	return openIn(t, env, where.Copy(t, func(database string) { require.NoError(t, openIn(t, env, database).Close()) }))
}

func openIn(t testing.TB, env taskdbtest.Env, database string) *postgres.Store {
	t.Helper()
	cfg := env.Config
	cfg.Database = database
	s, err := postgres.Open(t.Context(), cfg, postgres.Deps{Log: quiet(), Events: env.Events, Now: env.Now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	ready(t, s)
	return s
}

// ready waits until the database is there.
func ready(t testing.TB, s *postgres.Store) {
	t.Helper()
	require.Eventually(t, func() bool { return len(s.Missing()) == 0 }, time.Minute, time.Millisecond, "%v", s.Missing())
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
