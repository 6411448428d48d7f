//go:build unix

package postgres

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/postgres/postgrestest"
	"imagemill/services/taskdb/taskdbtest"
)

// Shared is the one server of all tests that do not harm theirs.
var Shared postgrestest.Shared

func openAt(t *testing.T, database string, change ...func(*taskdb.Config)) *Store {
	t.Helper()
	cfg := taskdbtest.Config()
	cfg.Database = database
	for _, c := range change {
		c(&cfg)
	}
	s, err := Open(t.Context(), cfg, Deps{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.Eventually(t, func() bool { return len(s.Missing()) == 0 }, time.Minute, time.Millisecond, "%v", s.Missing())
	return s
}

// refused is why Open refuses a database that answers. One that took too long for it
// is asked again.
func refused(t *testing.T, cfg taskdb.Config) (err error) {
	t.Helper()
	require.Eventually(t, func() bool {
		var s *Store
		if s, err = Open(t.Context(), cfg, Deps{Log: slog.New(slog.DiscardHandler)}); err == nil {
			_ = s.Close()
		}
		return err != nil
	}, time.Minute, time.Millisecond)
	return err
}

// A database of every version that there was is brought up to date, with its tasks.
func TestMigratesFromEveryVersion(t *testing.T) {
	for version := int64(0); ; version++ {
		database := Shared.Database(t)
		cfg, err := pgx.ParseConfig(database)
		require.NoError(t, err)
		p, end, err := provider(cfg)
		require.NoError(t, err)
		_, want, err := p.GetVersions(t.Context())
		require.NoError(t, err)
		if version > 0 {
			_, err = p.UpTo(t.Context(), version)
			require.NoError(t, err)
			conn, err := pgx.ConnectConfig(t.Context(), cfg)
			require.NoError(t, err)
			_, err = conn.Exec(t.Context(), fill(6))
			require.NoError(t, err)
			require.NoError(t, conn.Close(t.Context()))
		}
		require.NoError(t, end())
		s := openAt(t, database)
		_, err = s.Create(t.Context(), taskdbtest.New(1000))
		require.NoError(t, err)
		if version > 0 {
			page, err := s.List(t.Context(), taskdb.Finished, "", 0)
			require.NoError(t, err)
			require.Len(t, page.Tasks, 1, "from version %d", version)
		}
		if version == want {
			return
		}
	}
}

// Tables of a newer imagemill, and of something else, are left alone, and that is said.
func TestForeignTablesAreRefused(t *testing.T) {
	cfg := taskdbtest.Config()
	cfg.Database = Shared.Database(t)
	openAt(t, cfg.Database)
	exec := func(statement string) {
		conn, err := pgx.Connect(t.Context(), cfg.Database)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), statement)
		require.NoError(t, err)
		require.NoError(t, conn.Close(t.Context()))
	}
	exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true)")
	err := refused(t, cfg)
	for _, part := range []string{setting, "newer imagemill", "99"} {
		require.ErrorContains(t, err, part)
	}
	cfg.Database = Shared.Database(t)
	exec("CREATE TABLE tasks (id text)")
	require.ErrorContains(t, refused(t, cfg), `relation "tasks" already exists`)
}

// What a write may be told, by the codes of PostgreSQL.
func TestFailures(t *testing.T) {
	for code, want := range map[string]fault.Kind{
		"40001": fault.Unavailable, "40P01": fault.Unavailable, "57P01": fault.Unavailable, "57P02": fault.Unavailable, "57P03": fault.Unavailable,
		"53300": fault.Unavailable, "53200": fault.Unavailable, "57014": fault.Unavailable, "25006": fault.Unavailable, "08006": fault.Unavailable,
		"53100": fault.StorageFull, "42P01": fault.Internal, "22021": fault.Internal, "23505": fault.Internal,
	} {
		err := failure(&pgconn.PgError{Code: code, Message: "private"})
		require.Equal(t, want, fault.KindOf(err), code)
		require.NotContains(t, fault.As(err).Public, "private")
		if want != fault.Internal {
			require.Positive(t, fault.As(err).RetryAfter)
		}
	}
	for _, code := range []string{"40001", "40P01", "57P01", "53300"} {
		require.True(t, repeatable(&pgconn.PgError{Code: code}), code)
		require.False(t, repeatable(doubt{&pgconn.PgError{Code: code}}), "its commit was sent")
	}
	require.True(t, refusesCommit(&pgconn.PgError{SeverityUnlocalized: "ERROR", Code: "40001"}))
	require.False(t, refusesCommit(&pgconn.PgError{SeverityUnlocalized: "FATAL", Code: "57P01"}), "it may have happened")
	require.False(t, refusesCommit(io.ErrUnexpectedEOF))
	require.Equal(t, fault.Unavailable, fault.KindOf(failure(io.ErrUnexpectedEOF)))
}
