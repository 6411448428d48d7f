package sqlite

import (
	"context"
	"database/sql"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

func exec(t *testing.T, s *Store, statement string, args ...any) {
	t.Helper()
	_, err := s.conn.ExecContext(t.Context(), statement, args...)
	require.NoError(t, err)
}

// calls are all calls of a store, each for the task id.
func calls(s *Store, id string) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"get":    func(ctx context.Context) error { _, err := s.Get(ctx, id); return err },
		"list":   func(ctx context.Context) error { _, err := s.List(ctx, taskdb.NotStarted, "", 0); return err },
		"stats":  func(ctx context.Context) error { _, err := s.Stats(ctx); return err },
		"create": func(ctx context.Context) error { _, err := s.Create(ctx, newTask(1)); return err },
		"claim":  func(ctx context.Context) error { _, err := s.Claim(ctx, taskdb.Claim{Worker: "w", Max: 1}); return err },
		"renew": func(ctx context.Context) error {
			_, err := s.Renew(ctx, taskdb.Lease{ID: id, Attempt: 1}, 0)
			return err
		},
		"finish":  func(ctx context.Context) error { _, err := s.Finish(ctx, id, taskdb.Result{Attempt: 1}); return err },
		"release": func(ctx context.Context) error { return s.Release(ctx, taskdb.Lease{ID: id, Attempt: 1}) },
		"expire":  func(ctx context.Context) error { _, err := s.Expire(ctx); return err },
		"cancel":  func(ctx context.Context) error { _, err := s.Cancel(ctx, id); return err },
	}
}

// A table that cannot be read is an error of ours, and never "there is no task".
func TestABrokenTableIsNotAMissingTask(t *testing.T) {
	s := openStore(t)
	task, err := s.Create(t.Context(), newTask(1))
	require.NoError(t, err)
	exec(t, s, "ALTER TABLE tasks RENAME COLUMN lease_until TO gone")
	exec(t, s, "ALTER TABLE counts RENAME TO nowhere")
	for name, call := range calls(s, task.ID) {
		require.Equal(t, fault.Internal, fault.KindOf(call(t.Context())), name)
	}
	exec(t, s, "ALTER TABLE tasks RENAME COLUMN gone TO lease_until")
	exec(t, s, "ALTER TABLE nowhere RENAME TO counts")
	claimed, err := s.Claim(t.Context(), taskdb.Claim{Worker: "w", Max: 1})
	require.NoError(t, err, "it goes on as if nothing had been")
	require.Len(t, claimed, 1)
	require.Equal(t, 1, claimed[0].Attempt)
	require.EqualValues(t, 1, total(t, s))
}

func TestACallerThatHasLeftIsToldSo(t *testing.T) {
	s := openStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range calls(s, newTask(1).ID) {
		require.ErrorIs(t, call(ctx), context.Canceled, name)
	}
	require.Zero(t, total(t, s))
}

// Another process that holds the file is waited for as long as busy_timeout
// says; then the caller may try again.
func TestAFileThatIsLockedByAnother(t *testing.T) {
	s := openStore(t)
	exec(t, s, "PRAGMA busy_timeout=1")
	other := openDB(s.cfg.Path, 1, false)
	defer func() { require.NoError(t, other.Close()) }()
	conn, err := other.Conn(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = conn.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	require.NoError(t, err)
	_, err = s.Create(t.Context(), newTask(1))
	require.Equal(t, fault.Unavailable, fault.KindOf(err), "%v", err)
	require.Positive(t, fault.As(err).RetryAfter)
	_, err = conn.ExecContext(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	_, err = s.Create(t.Context(), newTask(1))
	require.NoError(t, err)
}

// What is damaged in one row does not hide the others.
func TestADamagedRow(t *testing.T) {
	s := openStore(t)
	for n := 1; n <= 2; n++ {
		_, err := s.Create(t.Context(), newTask(n))
		require.NoError(t, err)
	}
	for _, column := range []string{"result", "failures"} {
		exec(t, s, "UPDATE tasks SET "+column+" = '{' WHERE id = ?", newTask(1).ID)
		_, err := s.Get(t.Context(), newTask(1).ID)
		require.ErrorContains(t, err, "decode "+column)
		require.Equal(t, fault.Internal, fault.KindOf(err))
		require.NotContains(t, fault.As(err).Public, "decode", "the public is told nothing of our insides")
		_, err = s.Cancel(t.Context(), newTask(1).ID)
		require.ErrorContains(t, err, "decode "+column)
		_, err = s.Get(t.Context(), newTask(2).ID)
		require.NoError(t, err)
		exec(t, s, "UPDATE tasks SET "+column+" = NULL")
	}
	_, err := s.Cancel(t.Context(), newTask(1).ID)
	require.NoError(t, err)
}

// What cannot be opened is an error that names the file, and leaves nothing
// open.
func TestOpenRefuses(t *testing.T) {
	deps := Deps{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	at := func(path string) taskdb.Config {
		cfg := taskdb.DefaultConfig()
		cfg.Path = path
		return cfg
	}
	_, err := Open(t.Context(), at(""), deps)
	require.ErrorContains(t, err, "PATH")
	_, err = Open(t.Context(), at(filepath.Join(t.TempDir(), "tasks.db")), Deps{})
	require.ErrorContains(t, err, "Deps needs Log")

	file := filepath.Join(t.TempDir(), "picture.png")
	require.NoError(t, os.WriteFile(file, make([]byte, 8192), 0o600))
	dir := t.TempDir()
	for path, says := range map[string]string{
		filepath.Join(file, "tasks.db"): "make folder", file: "not a database", dir: "unable to open",
	} {
		_, err := Open(t.Context(), at(path), deps)
		require.ErrorContains(t, err, "open "+path)
		require.ErrorContains(t, err, says)
	}
	left, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, make([]byte, 8192), left, "somebody else's file is left as it was")
}

// A schema of a newer version must not be worked with as if it were ours.
func TestAForeignSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tasks.db")
	db := openDB(path, 1, false)
	_, err := db.ExecContext(t.Context(), "CREATE TABLE tasks (id TEXT)")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	cfg := taskdb.DefaultConfig()
	cfg.Path = path
	_, err = Open(t.Context(), cfg, Deps{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.ErrorContains(t, err, "migrate")
	db = openDB(path, 1, false)
	defer func() { require.NoError(t, db.Close()) }()
	var name string
	require.ErrorIs(t, db.QueryRowContext(t.Context(), "SELECT name FROM sqlite_master WHERE name = 'counts'").Scan(&name), sql.ErrNoRows,
		"a migration that fails leaves no half of it")
}
