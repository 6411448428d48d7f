//go:build unix

package postgres

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/postgres/postgrestest"
)

// All statements by what they must be planned with; "" for nothing but not reading
// a whole table.
func statements() map[string][]string {
	c := claimStatements()
	return map[string][]string{
		sqlGet: {"tasks_pkey"}, sqlLock: {"tasks_pkey"}, sqlList: {"tasks_state"}, sqlSave: {"tasks_pkey"}, sqlDelete: {"tasks_pkey"},
		sqlOverdue: {"tasks_expires"}, sqlOld(taskdb.Finished): {"tasks_ended"}, sqlOld(taskdb.Failed): {"tasks_ended"}, sqlOld(taskdb.Cancelled): {"tasks_ended"},
		sqlRepeated: {"tasks_pkey", "tasks_idempotency"},
		sqlTwins:    {"tasks_twins"}, sqlExpired: {"tasks_leases"}, sqlFirstEnds: {"tasks_leases", "tasks_paused", "tasks_scheduled"},
		sqlListOwned: {"tasks_owned"}, sqlFailed: {"tasks_state"}, sqlFailedOwned: {"tasks_owned"},
		sqlWake: {"tasks_paused", "tasks_scheduled", "tasks_turns", "tasks_pkey"}, sqlPlace: {"tasks_turns", "tasks_pkey"},
		sqlShorten: {"tasks_leases", "tasks_pkey"}, sqlUnpause: {"tasks_paused", "tasks_pkey"},
		c.any:     {"tasks_lanes", "tasks_pkey"},
		c.some:    {"tasks_lanes", "tasks_pkey"},
		sqlCounts: {"tasks_ready", "tasks_paused_age"}, sqlInsert: {"tasks_turns"}, sqlCount: {"counts_pkey"},
		sqlSilent: {}, sqlRefused: {"silences_pkey"},
	}
}

// No statement may look at more rows than it answers: neither on an empty database,
// whose plans stay while it fills, nor on one of a million tasks, before and after
// its statistics are gathered.
func TestStatementsUseTheirIndexes(t *testing.T) {
	rows := 1_000_000
	if testing.Short() {
		rows = 20_000
	}
	// One that is not busy with its log, and gathers no statistics by itself.
	pg := postgrestest.Start(t, "autovacuum=off", "max_wal_size=8GB", "checkpoint_timeout=1h", "shared_buffers=256MB")
	s := openAt(t, pg.Database(t))
	conn, err := s.writer.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	explain(t, conn.Conn())
	for _, statement := range []string{fill(rows), "ANALYZE"} {
		_, err := conn.Exec(t.Context(), "SET statement_timeout = 0")
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), statement)
		require.NoError(t, err)
		explain(t, conn.Conn())
	}
	costs(t, conn.Conn())
}

// fill makes tasks of all states.
func fill(rows int) string {
	return fmt.Sprintf(`INSERT INTO tasks (id, state, created, updated, not_before, lease_until, blob_key, blob_size, blob_sha256, blob_type, pipeline)
		SELECT '01890000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'),
			(ARRAY['notStarted', 'notStarted', 'inProgress', 'finished', 'failed', 'cancelled'])[1 + i %% 6], i, i,
			CASE i %% 6 WHEN 1 THEN 4000000000000000 + i ELSE 0 END, CASE i %% 6 WHEN 2 THEN 4000000000000000 + i ELSE 0 END, '', 1, '', '', '{}'
		FROM generate_series(1, %d) AS i`, rows)
}

// explain checks the plan of each statement.
func explain(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	for query, indexes := range statements() {
		plan := planOf(t, conn, query)
		for _, index := range indexes {
			require.Contains(t, plan, index, "%s\n%s", query, plan)
		}
		require.NotContains(t, plan, "Seq Scan on tasks", plan)
		// What is read by an index without a condition is read as a whole, unless a limit ends it.
		for step := range strings.SplitSeq(plan, "->") {
			lines := strings.Split(step, "\n")
			if strings.Contains(lines[0], "Index") && strings.Contains(lines[0], "tasks_pkey") {
				require.True(t, slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "Index Cond") }), plan)
			}
		}
	}
}

// planOf gives the plan that any arguments get.
func planOf(t *testing.T, conn *pgx.Conn, query string) string {
	t.Helper()
	_, err := conn.Exec(t.Context(), "DEALLOCATE ALL")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "PREPARE look AS "+query, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err, query)
	last := 0
	for _, p := range regexp.MustCompile(`\$(\d+)`).FindAllStringSubmatch(query, -1) {
		var n int
		_, err := fmt.Sscan(p[1], &n)
		require.NoError(t, err)
		last = max(last, n)
	}
	execute := "EXPLAIN EXECUTE look"
	if last > 0 {
		execute += "(" + strings.TrimSuffix(strings.Repeat("NULL, ", last), ", ") + ")"
	}
	rows, err := conn.Query(t.Context(), execute, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err, query)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return strings.Join(lines, "\n")
}

// costs checks that what is really read does not grow with what there is.
func costs(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	now := int64(1)
	for name, c := range map[string]struct {
		query string
		args  []any
		most  int // blocks
	}{
		"claim": {claimStatements().any, []any{now, []string{"w"}, []int32{0}, []int64{0}, 1, int64(1), 0}, 200},
		"list":  {sqlList, []any{"finished", "", 101}, 200},
		"stats": {sqlCounts, nil, 50},
		"first": {sqlFirstEnds, nil, 40},
	} {
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		rows, err := tx.Query(t.Context(), "EXPLAIN (ANALYZE, BUFFERS) "+c.query, c.args...)
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.NoError(t, tx.Rollback(t.Context()))
		blocks := 0
		for _, line := range lines {
			if !strings.Contains(line, "Buffers:") {
				continue
			}
			for _, m := range regexp.MustCompile(`(hit|read)=(\d+)`).FindAllStringSubmatch(line, -1) {
				var n int
				_, err := fmt.Sscan(m[2], &n)
				require.NoError(t, err)
				blocks += n
			}
			break // the first line is the whole
		}
		t.Logf("%s reads %d blocks", name, blocks)
		require.Positive(t, blocks, strings.Join(lines, "\n"))
		require.Less(t, blocks, c.most, strings.Join(lines, "\n"))
	}
}

// schema is what the migrations leave, for readers.
func schema(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT line FROM (
		SELECT 1 AS part, c.relname::text AS name, a.attnum AS n, format('%s.%s %s%s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
			CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END, coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '')) AS line
		FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace AND s.nspname = 'public' JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
			AND NOT a.attisdropped LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
		WHERE c.relkind = 'r' AND c.relname NOT LIKE 'goose%'
		UNION ALL SELECT 2, indexname::text, 0, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT LIKE 'goose%') AS parts
		ORDER BY part, name COLLATE "C", n`)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return "-- What the migrations add up to; UPDATE_SCHEMA=1 go test ./services/taskdb/postgres writes it.\n\n-- " +
		strings.Join(lines, "\n-- ") + "\n"
}

func TestSchemaIsCurrent(t *testing.T) {
	s := openAt(t, Shared.Database(t))
	conn, err := s.writer.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	got := schema(t, conn.Conn())
	if os.Getenv("UPDATE_SCHEMA") != "" {
		require.NoError(t, os.WriteFile("schema.sql", []byte(got), 0o600))
	}
	want, err := os.ReadFile("schema.sql")
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}
