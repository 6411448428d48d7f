package sqlite

import (
	"io"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/taskdb"
)

// openStore gives a store in a new folder.
func openStore(t *testing.T) *Store {
	t.Helper()
	cfg := taskdb.DefaultConfig()
	cfg.Path = filepath.Join(t.TempDir(), "tasks.db")
	s, err := Open(t.Context(), cfg, Deps{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// No statement may look at more rows than it answers.
func TestStatementsUseTheirIndexes(t *testing.T) {
	s := openStore(t)
	params := regexp.MustCompile(`\?\d*`)
	for query, indexes := range map[string][]string{
		sqlGet: {"sqlite_autoindex_tasks_1"}, sqlList: {"tasks_state"}, sqlSave: {"sqlite_autoindex_tasks_1"},
		sqlRenew: {"sqlite_autoindex_tasks_1"}, sqlExpired: {"tasks_leases"},
		sqlShorten: {"tasks_leases"}, sqlUnpause: {"tasks_paused"},
		sqlClaim:     {"tasks_ready", "tasks_paused", "sqlite_autoindex_tasks_1"},
		sqlClaimSome: {"USING COVERING INDEX tasks_ready", "USING COVERING INDEX tasks_paused", "sqlite_autoindex_tasks_1"},
		sqlCounts:    {"tasks_ready", "tasks_paused_age"},
	} {
		rows, err := s.reader.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+params.ReplaceAllString(query, "1"))
		require.NoError(t, err)
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			require.NoError(t, rows.Scan(&id, &parent, &unused, &detail))
			plan = append(plan, detail)
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close()) //nolint:sqlclosecheck // before the next query
		all := strings.Join(plan, "\n")
		t.Log(all)
		for _, index := range indexes {
			require.Contains(t, all, index, query)
		}
		for _, step := range plan {
			require.False(t, strings.HasPrefix(step, "SCAN tasks") && !strings.Contains(step, "USING"), "%s: %s", query, all)
		}
	}
}
