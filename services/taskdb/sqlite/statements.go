package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"imagemill/services/taskdb/backend"
)

// The statements name their indexes: left alone, SQLite prefers tasks_state,
// whose cost grows with the number of waiting tasks; and one whose index cannot
// be used fails at the start.

const columns = backend.Columns

const (
	sqlGet  = `SELECT ` + columns + ` FROM tasks WHERE id = ?`
	sqlList = `SELECT ` + columns + ` FROM tasks WHERE state = ? AND id > ? ORDER BY id LIMIT ?`

	sqlCounts = `SELECT state, tasks, coalesce(min(
		coalesce((SELECT min(created) FROM tasks INDEXED BY tasks_ready WHERE state = 'notStarted' AND not_before = 0), 9223372036854775807),
		coalesce((SELECT min(created) FROM tasks INDEXED BY tasks_paused_age WHERE state = 'notStarted' AND not_before > 0), 9223372036854775807)), 0)
		FROM counts`

	sqlInsert = `INSERT INTO tasks (id, state, created, updated, blob_key, blob_size, blob_sha256, blob_type, pipeline, needs)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`

	sqlSave = `UPDATE tasks SET state = ?, updated = ?, tries = ?, deaths = ?, worker = ?, lease_until = ?,
		not_before = ?, progress = ?, result = ?, failures = ? WHERE id = ?`

	sqlRenew = `UPDATE tasks SET lease_until = ?, progress = ? WHERE id = ?`

	// sqlClaim takes the oldest of both kinds of waiting tasks. The inner limits
	// bound what it looks at; ?1 updated, ?2 worker, ?3 lease, ?4 how many.
	sqlClaim = sqlClaimBegin + sqlClaimReady + sqlClaimPaused + sqlClaimEnd
	// sqlClaimSome leaves some to others: ?5 what the worker can, ?6 to ?13 what each of
	// the others can. It looks at all that it leaves, by the index alone.
	sqlClaimSome  = sqlClaimBegin + sqlNotLeft + sqlClaimReady + sqlNotLeft + sqlClaimPaused + sqlClaimEnd
	sqlClaimBegin = `UPDATE tasks SET state = 'inProgress', updated = ?1, attempt = attempt + 1, worker = ?2,
		lease_until = ?3, not_before = 0, progress = 0
		WHERE id IN (SELECT id FROM (
			SELECT id, created FROM (SELECT id, created FROM tasks INDEXED BY tasks_ready
				WHERE state = 'notStarted' AND not_before = 0`
	sqlClaimReady = ` ORDER BY created, id LIMIT ?4)
			UNION ALL
			SELECT id, created FROM (SELECT id, created FROM tasks INDEXED BY tasks_paused
				WHERE state = 'notStarted' AND not_before > 0 AND not_before <= ?1`
	sqlClaimPaused = ` ORDER BY not_before, id LIMIT 256))
			ORDER BY created, id LIMIT ?4)
		RETURNING `
	sqlClaimEnd = columns
	sqlNotLeft  = ` AND ((needs & ~?5) = 0 OR ((needs & ~?6) <> 0 AND (needs & ~?7) <> 0 AND (needs & ~?8) <> 0 AND (needs & ~?9) <> 0
				AND (needs & ~?10) <> 0 AND (needs & ~?11) <> 0 AND (needs & ~?12) <> 0 AND (needs & ~?13) <> 0))`

	sqlExpired = `SELECT ` + columns + ` FROM tasks INDEXED BY tasks_leases
		WHERE state = 'inProgress' AND lease_until <= ? ORDER BY lease_until, id LIMIT ?`

	sqlFirstLease = `SELECT lease_until FROM tasks INDEXED BY tasks_leases WHERE state = 'inProgress' ORDER BY lease_until, id LIMIT 1`

	// sqlShorten and sqlUnpause cut what lies further ahead than it can.
	sqlShorten = `UPDATE tasks INDEXED BY tasks_leases SET lease_until = ?1 WHERE state = 'inProgress' AND lease_until > ?1`
	sqlUnpause = `UPDATE tasks INDEXED BY tasks_paused SET not_before = ?1
		WHERE state = 'notStarted' AND not_before > 0 AND not_before > ?1`

	sqlCount = `UPDATE counts SET tasks = tasks + ? WHERE state = ?`
)

// writeStatements are prepared once, on the writer's connection.
type writeStatements struct {
	begin, commit, count, get, insert, save, renew, claim, claimSome, expired, firstLease, shorten, unpause *sql.Stmt
}

func prepareWrites(ctx context.Context, conn *sql.Conn) (st writeStatements, err error) {
	err = prepareAll(ctx, conn, map[string]**sql.Stmt{
		"BEGIN IMMEDIATE": &st.begin, "COMMIT": &st.commit, sqlCount: &st.count, sqlGet: &st.get, sqlInsert: &st.insert,
		sqlSave: &st.save, sqlRenew: &st.renew, sqlClaim: &st.claim, sqlClaimSome: &st.claimSome, sqlExpired: &st.expired,
		sqlFirstLease: &st.firstLease, sqlShorten: &st.shorten, sqlUnpause: &st.unpause,
	})
	return st, err
}

// reads are the statements of the reading pool.
type reads struct{ get, list, counts *sql.Stmt }

func prepareReads(ctx context.Context, db *sql.DB) (st reads, err error) {
	err = prepareAll(ctx, db, map[string]**sql.Stmt{sqlGet: &st.get, sqlList: &st.list, sqlCounts: &st.counts})
	return st, err
}

type preparer interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

func prepareAll(ctx context.Context, p preparer, all map[string]**sql.Stmt) error {
	for query, into := range all {
		st, err := p.PrepareContext(ctx, query) //nolint:sqlclosecheck // lives as long as its connection
		if err != nil {
			return fmt.Errorf("prepare %.40q: %w", query, err)
		}
		*into = st
	}
	return nil
}
