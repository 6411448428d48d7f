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
func openStore(t testing.TB) *Store {
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
		sqlOverdue: {"tasks_expires"}, sqlOldFinished: {"tasks_ended"}, sqlOldFailed: {"tasks_ended"}, sqlOldCancelled: {"tasks_ended"},
		sqlRepeated: {"sqlite_autoindex_tasks_1", "tasks_idempotency"}, sqlDelete: {"sqlite_autoindex_tasks_1"},
		sqlRenew: {"sqlite_autoindex_tasks_1"}, sqlExpired: {"tasks_leases"},
		sqlShorten: {"tasks_leases"}, sqlUnpause: {"tasks_paused"},
		sqlClaim:     {"USING COVERING INDEX tasks_ready", "sqlite_autoindex_tasks_1"},
		sqlClaimSome: {"USING COVERING INDEX tasks_ready", "sqlite_autoindex_tasks_1"},
		sqlPaused:    {"tasks_paused (not_before>? AND not_before<?)"}, sqlScheduled: {"tasks_scheduled (not_before<?)"},
		sqlFirstDue: {"tasks_paused", "tasks_scheduled"}, sqlListOwned: {"tasks_owned (owner=? AND state=? AND id>?)"},
		sqlLastTurn: {"USING COVERING INDEX tasks_turns (lane=? AND owner=?)"}, sqlPlace: {"sqlite_autoindex_tasks_1"},
		sqlTwins: {"tasks_twins (twin=? AND state=?)"}, sqlWake: {"sqlite_autoindex_tasks_1"}, sqlFirstLease: {"tasks_leases"},
		sqlCounts: {"tasks_age"},
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
		require.NotContains(t, all, "TEMP B-TREE", "%s: %s", query, all)
		for _, step := range plan {
			require.False(t, strings.HasPrefix(step, "SCAN tasks") && !strings.Contains(step, "USING"), "%s: %s", query, all)
		}
	}
}
