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

	sqlListOwned = `SELECT ` + columns + ` FROM tasks INDEXED BY tasks_owned
		WHERE owner <> '' AND owner = ? AND state = ? AND id > ? ORDER BY id LIMIT ?`

	// sqlTwins gives those at work with a number, the first one first, and those that
	// ended well, the last one first.
	sqlTwins = `SELECT * FROM (SELECT ` + columns + ` FROM tasks INDEXED BY tasks_twins
			WHERE twin = ?1 AND state = 'inProgress' ORDER BY updated, id LIMIT ?2)
		UNION ALL SELECT * FROM (SELECT ` + columns + ` FROM tasks INDEXED BY tasks_twins
			WHERE twin = ?1 AND state = 'finished' ORDER BY updated DESC, id DESC LIMIT ?2)`

	sqlCounts = `SELECT state, tasks, coalesce((SELECT min(created) FROM tasks INDEXED BY tasks_age
		WHERE state = 'notStarted' AND turn >= 0), 9223372036854775807) FROM counts`

	sqlInsert = `INSERT INTO tasks (id, state, created, updated, blob_key, blob_size, blob_sha256, blob_type, pipeline, needs,
		lane, owner, turn, not_before, idempotency_key, expires, attempt, progress, result, twin)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`

	// sqlRepeated finds who has the ID or, in second place, the idempotency key.
	sqlRepeated = `SELECT ` + columns + ` FROM (SELECT * FROM tasks WHERE id = ?1
		UNION ALL SELECT * FROM tasks INDEXED BY tasks_idempotency WHERE idempotency_key = ?2) LIMIT 1`

	sqlSave = `UPDATE tasks SET state = ?, updated = ?, tries = ?, deaths = ?, worker = ?, lease_until = ?,
		not_before = ?, progress = ?, result = ?, failures = ? WHERE id = ?`

	// sqlOverdue finds what has expired by a time, and the other three what ended by one.
	sqlOverdue      = `SELECT ` + columns + ` FROM tasks INDEXED BY tasks_expires WHERE expires > 0 AND expires <= ? ORDER BY expires LIMIT ?`
	sqlOldFinished  = sqlOld + `state = 'finished'` + sqlOldBy
	sqlOldFailed    = sqlOld + `state = 'failed'` + sqlOldBy
	sqlOldCancelled = sqlOld + `state = 'cancelled'` + sqlOldBy
	sqlOld          = `SELECT ` + columns + ` FROM tasks INDEXED BY tasks_ended WHERE state IN ('finished', 'failed', 'cancelled') AND `
	sqlOldBy        = ` AND updated <= ? ORDER BY updated LIMIT ?`

	sqlDelete = `DELETE FROM tasks WHERE id = ?`

	sqlRenew = `UPDATE tasks SET lease_until = ?, progress = ? WHERE id = ?`

	// sqlClaim takes the first tasks of a lane; ?1 updated, ?2 worker, ?3 lease, ?4 how
	// many, ?5 the lane. It gives their turns as well.
	sqlClaim = sqlClaimBegin + sqlClaimEnd
	// sqlClaimSome leaves some to others: ?6 what the worker can, ?7 to ?14 what each of
	// the others can. It looks at all that it leaves, by the index alone.
	sqlClaimSome  = sqlClaimBegin + sqlNotLeft + sqlClaimEnd
	sqlClaimBegin = `UPDATE tasks SET state = 'inProgress', updated = ?1, attempt = attempt + 1, worker = ?2,
		lease_until = ?3, not_before = 0, progress = 0
		WHERE id IN (SELECT id FROM tasks INDEXED BY tasks_ready WHERE state = 'notStarted' AND not_before = 0 AND lane = ?5`
	sqlClaimEnd = ` ORDER BY turn, created, id LIMIT ?4)
		RETURNING turn, ` + columns
	sqlNotLeft = ` AND ((needs & ~?6) = 0 OR ((needs & ~?7) <> 0 AND (needs & ~?8) <> 0 AND (needs & ~?9) <> 0 AND (needs & ~?10) <> 0
				AND (needs & ~?11) <> 0 AND (needs & ~?12) <> 0 AND (needs & ~?13) <> 0 AND (needs & ~?14) <> 0))`

	// sqlPaused and sqlScheduled find whose pause, or schedule, is over by ?1, and
	// sqlFirstDue when the next one is, 0 for never.
	sqlPaused = `SELECT ` + columns + ` FROM tasks INDEXED BY tasks_paused
		WHERE state = 'notStarted' AND not_before > 0 AND turn >= 0 AND not_before <= ?1 ORDER BY not_before, id LIMIT ?2`
	sqlScheduled = `SELECT ` + columns + ` FROM tasks INDEXED BY tasks_scheduled
		WHERE state = 'notStarted' AND turn < 0 AND not_before <= ?1 ORDER BY not_before, id LIMIT ?2`
	sqlFirstDue = `SELECT coalesce(min(at), 0) FROM (
		SELECT (SELECT not_before FROM tasks INDEXED BY tasks_paused
			WHERE state = 'notStarted' AND not_before > 0 AND turn >= 0 ORDER BY not_before, id LIMIT 1) AS at
		UNION ALL SELECT (SELECT not_before FROM tasks INDEXED BY tasks_scheduled
			WHERE state = 'notStarted' AND turn < 0 ORDER BY not_before, id LIMIT 1))`
	sqlWake = `UPDATE tasks SET not_before = 0 WHERE id = ?`

	// sqlPlace gives a turn, sqlLastTurn tells an owner's last one; sqlServed reads, and
	// sqlServe writes, the last turn that was claimed.
	sqlPlace    = `UPDATE tasks SET turn = ? WHERE id = ?`
	sqlLastTurn = `SELECT turn FROM tasks INDEXED BY tasks_turns
		WHERE state = 'notStarted' AND owner <> '' AND lane = ? AND owner = ? ORDER BY turn DESC LIMIT 1`
	sqlServed = `SELECT lane, served FROM turns`
	sqlServe  = `UPDATE turns SET served = ? WHERE lane = ?`

	sqlExpired = `SELECT ` + columns + ` FROM tasks INDEXED BY tasks_leases
		WHERE state = 'inProgress' AND lease_until <= ? ORDER BY lease_until, id LIMIT ?`

	sqlFirstLease = `SELECT lease_until FROM tasks INDEXED BY tasks_leases WHERE state = 'inProgress' ORDER BY lease_until, id LIMIT 1`

	// sqlShorten and sqlUnpause cut what lies further ahead than it can.
	sqlShorten = `UPDATE tasks INDEXED BY tasks_leases SET lease_until = ?1 WHERE state = 'inProgress' AND lease_until > ?1`
	sqlUnpause = `UPDATE tasks INDEXED BY tasks_paused SET not_before = ?1
		WHERE state = 'notStarted' AND not_before > 0 AND turn >= 0 AND not_before > ?1`

	sqlCount = `UPDATE counts SET tasks = tasks + ? WHERE state = ?`
)

// writeStatements are prepared once, on the writer's connection.
type writeStatements struct {
	begin, commit, count, get, insert, save, renew, claim, claimSome, expired, firstLease, shorten, unpause *sql.Stmt
	paused, scheduled, firstDue, wake, place, lastTurn, serve, list, listOwned, delete, repeated, overdue,
	oldFinished, oldFailed, oldCancelled *sql.Stmt
}

func prepareWrites(ctx context.Context, conn *sql.Conn) (st writeStatements, err error) {
	err = prepareAll(ctx, conn, map[string]**sql.Stmt{
		"BEGIN IMMEDIATE": &st.begin, "COMMIT": &st.commit, sqlCount: &st.count, sqlGet: &st.get, sqlInsert: &st.insert, sqlRepeated: &st.repeated,
		sqlSave: &st.save, sqlDelete: &st.delete, sqlOverdue: &st.overdue,
		sqlOldFinished: &st.oldFinished, sqlOldFailed: &st.oldFailed, sqlOldCancelled: &st.oldCancelled, sqlRenew: &st.renew, sqlClaim: &st.claim, sqlClaimSome: &st.claimSome, sqlExpired: &st.expired,
		sqlFirstLease: &st.firstLease, sqlShorten: &st.shorten, sqlUnpause: &st.unpause,
		sqlPaused: &st.paused, sqlScheduled: &st.scheduled, sqlFirstDue: &st.firstDue, sqlWake: &st.wake,
		sqlPlace: &st.place, sqlLastTurn: &st.lastTurn, sqlServe: &st.serve, sqlList: &st.list, sqlListOwned: &st.listOwned,
	})
	return st, err
}

// reads are the statements of the reading pool.
type reads struct{ get, list, listOwned, counts, twins *sql.Stmt }

func prepareReads(ctx context.Context, db *sql.DB) (st reads, err error) {
	err = prepareAll(ctx, db, map[string]**sql.Stmt{sqlGet: &st.get, sqlList: &st.list, sqlListOwned: &st.listOwned, sqlCounts: &st.counts, sqlTwins: &st.twins})
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
