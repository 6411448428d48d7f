package postgres

import (
	"fmt"
	"strings"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/backend"
)

// The statements are planned once for all values, and every connection turns off
// what would make a plan depend on statistics; see settings. What is joined by ID
// is also looked up by ID, so that no order of a join reads the whole table.

const columns = backend.Columns

// clock is the moment of a statement: the given one where a test brings a clock,
// or the database's.
const clock = `coalesce($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)`

const (
	sqlClock = `SELECT ` + clock

	sqlGet  = `SELECT ` + columns + ` FROM tasks WHERE id = ANY($1::text[])`
	sqlLock = sqlGet + ` ORDER BY id FOR UPDATE`
	// sqlList says equal in two halves: of one state, the order by id alone would be
	// taken from the primary key, which holds the tasks of all states.
	sqlList = `SELECT ` + columns + ` FROM tasks WHERE (state, id) > ($1, $2) AND state <= $1 ORDER BY state, id LIMIT $3`

	sqlListOwned = `SELECT ` + columns + ` FROM tasks WHERE owner <> '' AND (owner, state, id) > ($4, $1, $2) AND owner <= $4 AND state <= $1
		ORDER BY owner, state, id LIMIT $3`

	// sqlFailed and sqlFailedOwned lock a page of what has failed.
	sqlFailed      = sqlList + ` FOR UPDATE`
	sqlFailedOwned = sqlListOwned + ` FOR UPDATE`

	// sqlCounts gives the sums and the creation time of the oldest waiting task, 0 for none.
	sqlCounts = `SELECT sum(not_started)::bigint, sum(in_progress)::bigint, sum(finished)::bigint, sum(failed)::bigint, sum(cancelled)::bigint,
		coalesce(least(
			(SELECT created FROM tasks WHERE state = 'notStarted' AND not_before = 0 ORDER BY created, id LIMIT 1),
			(SELECT created FROM tasks WHERE state = 'notStarted' AND not_before > 0 AND turn >= 0 ORDER BY created LIMIT 1)), 0)
		FROM counts`

	// served is the last turn that was claimed of the lane of a row n, and nextTurn the
	// turn of such a row: nobody's own, or the next one of its owner. What numbers the
	// rows of one owner is put between the halves.
	served      = `(SELECT CASE n.lane WHEN 1 THEN max(served_batch) ELSE max(served) END FROM counts)`
	nextTurn    = `CASE n.owner WHEN '' THEN ` + served + ` ELSE greatest(` + served + `, ` + lastTurn + `) + `
	nextTurnEnd = ` END`
	lastTurn    = `(SELECT turn FROM tasks AS q WHERE q.state = 'notStarted' AND q.owner <> '' AND q.lane = n.lane AND q.owner = n.owner
		ORDER BY q.lane DESC, q.owner DESC, q.turn DESC LIMIT 1)`

	// sqlTwins gives those at work with a number, the first one first, and those that
	// ended well, the last one first.
	sqlTwins = `(SELECT ` + columns + ` FROM tasks WHERE twin = $1 AND state = 'inProgress' ORDER BY twin, state, updated, id LIMIT $2)
		UNION ALL (SELECT ` + columns + ` FROM tasks WHERE twin = $1 AND state = 'finished' ORDER BY twin DESC, state DESC, updated DESC, id DESC LIMIT $2)`

	// sqlInsert adds tasks and gives those that were not there; in order, so that two
	// transactions never wait for each other in a circle. $12 and $13 are when a task is
	// scheduled for, and in how many microseconds; 0 for neither.
	sqlInsert = `WITH t AS MATERIALIZED (SELECT ` + clock + ` AS now),
		n AS MATERIALIZED (SELECT n.*, CASE WHEN n.delay > 0 THEN t.now + n.delay WHEN n.at > t.now THEN n.at ELSE 0 END AS not_before
			FROM t, unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::bigint[],
				$9::text[], $10::int[], $11::text[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::text[], $17::bigint[])
			AS n (id, blob_key, blob_size, blob_sha256, blob_type, pipeline, needs, idempotency_key, lane, owner, at, delay, expires, keep, result, twin))
		INSERT INTO tasks (id, state, created, updated, blob_key, blob_size, blob_sha256, blob_type, pipeline, needs, idempotency_key,
			expires, lane, owner, attempt, progress, result, twin, not_before, turn)
		SELECT n.id, CASE WHEN n.result IS NULL THEN 'notStarted' ELSE 'finished' END, t.now, t.now, n.blob_key, n.blob_size, n.blob_sha256, n.blob_type, n.pipeline, n.needs, n.idempotency_key,
			CASE WHEN n.keep > 0 THEN t.now + n.keep ELSE n.expires END,
			n.lane, n.owner, (n.result IS NOT NULL)::int, (n.result IS NOT NULL)::int, n.result, n.twin,
			n.not_before, CASE WHEN n.not_before > 0 THEN -1 WHEN n.result IS NOT NULL THEN 0 ELSE ` + nextTurn +
		`row_number() OVER (PARTITION BY n.lane, n.owner, n.not_before > 0, n.result IS NULL ORDER BY n.id COLLATE "C")` + nextTurnEnd + ` END
		FROM t, n
		ORDER BY n.idempotency_key COLLATE "C", n.id COLLATE "C" ON CONFLICT DO NOTHING RETURNING id, created, not_before`

	// sqlPlace gives turns anew to tasks that are about to wait again.
	sqlPlace = `WITH n AS MATERIALIZED (SELECT id, lane, owner FROM tasks WHERE id = ANY($1::text[])),
		p AS MATERIALIZED (SELECT n.id, ` + nextTurn + `row_number() OVER (PARTITION BY n.lane, n.owner ORDER BY n.id COLLATE "C")` + nextTurnEnd + ` AS turn FROM n)
		UPDATE tasks SET turn = p.turn FROM p WHERE tasks.id = p.id AND tasks.id = ANY($1::text[])`

	// sqlWake ends the pauses and schedules that are over, at most $2 of each, and gives
	// the latter their turns.
	sqlWake = `WITH t AS MATERIALIZED (SELECT ` + clock + ` AS now),
		paused AS MATERIALIZED (SELECT id FROM tasks WHERE state = 'notStarted' AND not_before > 0 AND turn >= 0
			AND not_before <= (SELECT now FROM t) ORDER BY not_before, id LIMIT $2 FOR UPDATE SKIP LOCKED),
		n AS MATERIALIZED (SELECT id, lane, owner, not_before FROM tasks WHERE state = 'notStarted' AND turn < 0
			AND not_before <= (SELECT now FROM t) ORDER BY not_before, id LIMIT $2 FOR UPDATE SKIP LOCKED),
		woken AS MATERIALIZED (SELECT n.id, ` + nextTurn + `row_number() OVER (PARTITION BY n.lane, n.owner ORDER BY n.not_before, n.id)` + nextTurnEnd + ` AS turn FROM n
			UNION ALL SELECT id, NULL FROM paused)
		UPDATE tasks SET not_before = 0, turn = coalesce(woken.turn, tasks.turn)
		FROM woken WHERE tasks.id = woken.id AND tasks.id = ANY(ARRAY(SELECT id FROM woken))
		RETURNING ` + qualified

	// sqlRepeated finds who has one of the IDs $1 or of the idempotency keys $2.
	sqlRepeated = sqlGet + ` UNION ALL SELECT ` + columns + ` FROM tasks WHERE idempotency_key = ANY($2::text[]) AND id <> ALL($1::text[])`

	sqlSave = `UPDATE tasks SET state = n.state, updated = n.updated, tries = n.tries, deaths = n.deaths, worker = n.worker,
		lease_until = n.lease_until, not_before = n.not_before, progress = n.progress, result = n.result, failures = n.failures
		FROM unnest($1::text[], $2::text[], $3::bigint[], $4::int[], $5::int[], $6::text[], $7::bigint[], $8::bigint[],
			$9::double precision[], $10::text[], $11::text[])
			AS n (id, state, updated, tries, deaths, worker, lease_until, not_before, progress, result, failures)
		WHERE tasks.id = n.id AND tasks.id = ANY($1::text[])`

	// sqlOverdue takes tasks that have expired, $2 at most, but for those that others
	// have in hand.
	sqlOverdue = `SELECT ` + columns + ` FROM tasks WHERE expires > 0 AND expires <= ` + clock + `
		ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED`

	sqlDelete = `DELETE FROM tasks WHERE id = ANY($1::text[])`

	// sqlCount changes the counts of the connection's own row.
	sqlCount = `UPDATE counts SET not_started = not_started + $1, in_progress = in_progress + $2, finished = finished + $3,
		failed = failed + $4, cancelled = cancelled + $5 WHERE shard = pg_backend_pid() % 128`

	// sqlExpired takes leases that have run out and that nobody is renewing; $2 how many.
	sqlExpired = `SELECT ` + columns + ` FROM tasks WHERE state = 'inProgress' AND lease_until <= ` + clock + `
		ORDER BY lease_until, id LIMIT $2 FOR UPDATE SKIP LOCKED`

	// sqlFirstEnds gives when the first lease, pause and schedule end, 0 for none.
	sqlFirstEnds = `SELECT coalesce((SELECT lease_until FROM tasks WHERE state = 'inProgress' ORDER BY lease_until, id LIMIT 1), 0),
		coalesce((SELECT not_before FROM tasks WHERE state = 'notStarted' AND not_before > 0 AND turn >= 0 ORDER BY not_before, id LIMIT 1), 0),
		coalesce((SELECT not_before FROM tasks WHERE state = 'notStarted' AND turn < 0 ORDER BY not_before, id LIMIT 1), 0)`

	// sqlShorten and sqlUnpause cut what lies further ahead than $2 from now.
	sqlShorten = `UPDATE tasks SET lease_until = ` + clock + ` + $2::bigint WHERE id = ANY(ARRAY(
		SELECT id FROM tasks WHERE state = 'inProgress' AND lease_until > ` + clock + ` + $2::bigint
		ORDER BY lease_until, id FOR UPDATE SKIP LOCKED))`
	sqlUnpause = `UPDATE tasks SET not_before = ` + clock + ` + $2::bigint WHERE id = ANY(ARRAY(
		SELECT id FROM tasks WHERE state = 'notStarted' AND not_before > 0 AND turn >= 0 AND not_before > ` + clock + ` + $2::bigint
		ORDER BY not_before, id FOR UPDATE SKIP LOCKED))`

	// sqlSilent notes when leases of workers ran out, and sqlForget drops what is older than $1.
	sqlSilent = `INSERT INTO silences (worker, at) SELECT w, $2::bigint FROM unnest($1::text[]) AS w ORDER BY w COLLATE "C"
		ON CONFLICT (worker) DO UPDATE SET at = EXCLUDED.at`
	sqlForget = `DELETE FROM silences WHERE worker = ANY(ARRAY(SELECT worker FROM silences WHERE at < $1 FOR UPDATE SKIP LOCKED))`

	// sqlRefused gives which of the claims were made before the silence of their worker.
	sqlRefused = `WITH t AS MATERIALIZED (SELECT ` + clock + ` AS now)
		SELECT c.n FROM t, unnest($2::text[], $3::int[], $4::bigint[]) AS c (worker, n, waited)
		WHERE ` + silent

	silent = `EXISTS (SELECT 1 FROM silences s WHERE s.worker = c.worker AND s.at <= t.now AND t.now - c.waited < s.at)`
)

// sqlOld takes tasks that reached a state, an end, at least $2 microseconds ago, $3
// at most, but for those that others have in hand.
func sqlOld(s taskdb.State) string {
	return `SELECT ` + columns + ` FROM tasks WHERE state = '` + string(s) + `' AND updated <= ` + clock + ` - $2::bigint
		ORDER BY state, updated LIMIT $3 FOR UPDATE SKIP LOCKED`
}

// sqlClaim serves several claims in one statement: each element of the arrays $2
// (worker), $3 (number of the claim) and $4 (microseconds that it has waited) is
// room for one task, $5 is how many there are, $6 the length of a lease, and $7 how
// many go to the lane Batch first. The first tasks go to the first rooms. Rooms of
// silent workers are left out. It gives the number of the claim and the task.
//
// It locks no task that it has no room for: until the commit, another process would
// pass it over.
func sqlClaim(notLeft string) string {
	part := func(lane int, also, limit string) string {
		return fmt.Sprintf(`AS MATERIALIZED (SELECT id, turn, created FROM tasks WHERE state = 'notStarted' AND not_before = 0 AND lane = %d`+notLeft+also+`
		ORDER BY lane, turn, created, id LIMIT `+limit+` FOR UPDATE SKIP LOCKED)`, lane)
	}
	return `WITH t AS MATERIALIZED (SELECT ` + clock + ` AS now),
	rooms AS MATERIALIZED (SELECT array_agg(c.worker ORDER BY c.i) AS workers, array_agg(c.n ORDER BY c.i) AS claims
		FROM t, unnest($2::text[], $3::int[], $4::bigint[]) WITH ORDINALITY AS c (worker, n, waited, i) WHERE NOT ` + silent + `),
	share ` + part(1, ``, `$7::bigint`) + `,
	interactive ` + part(0, ``, `$5::bigint - (SELECT count(*) FROM share)`) + `,
	batch ` + part(1, ` AND id <> ALL(ARRAY(SELECT id FROM share))`, `$5::bigint - (SELECT count(*) FROM share) - (SELECT count(*) FROM interactive)`) + `,
	picked AS MATERIALIZED (SELECT id, row_number() OVER (ORDER BY part, turn, created, id) AS k FROM (
		SELECT 1 AS part, id, turn, created FROM share UNION ALL SELECT 2, id, turn, created FROM interactive
		UNION ALL SELECT 3, id, turn, created FROM batch) AS parts),
	moved AS (UPDATE tasks SET state = 'inProgress', updated = t.now, attempt = attempt + 1, worker = rooms.workers[p.k],
			lease_until = t.now + $6::bigint, not_before = 0, progress = 0
		FROM t, rooms, picked AS p
		WHERE tasks.id = p.id AND tasks.id = ANY(ARRAY(SELECT id FROM picked)) AND p.k <= coalesce(cardinality(rooms.workers), 0)
		RETURNING rooms.claims[p.k] AS n, turn, ` + qualified + `),
	counted AS (UPDATE counts SET not_started = not_started - m.n, in_progress = in_progress + m.n,
			served = greatest(served, m.interactive), served_batch = greatest(served_batch, m.batch)
		FROM (SELECT count(*) AS n, max(turn) FILTER (WHERE lane <> 1) AS interactive, max(turn) FILTER (WHERE lane = 1) AS batch FROM moved) AS m
		WHERE shard = pg_backend_pid() % 128 AND m.n > 0)
	SELECT * FROM moved`
}

// qualified is columns of tasks where another table has an id as well.
const qualified = `tasks.id, state, created, updated, attempt, tries, deaths, worker, lease_until, not_before, progress,
	blob_key, blob_size, blob_sha256, blob_type, pipeline, result, failures, needs, lane, owner, idempotency_key, expires, twin`

// notLeft is the condition on a task that is not left to others: $8 what the worker
// can, $9 what each of the others can.
const notLeft = ` AND ((needs & ~$8::bigint) = 0 OR NOT EXISTS (SELECT 1 FROM unnest($9::bigint[]) AS o (can) WHERE (needs & ~o.can) = 0))`

// settings are what every connection is set to, beside what it is asserted to be.
// Without those of the planner a fresh table, or one without statistics, gets plans
// that read all of it.
func settings(timeoutMillis int64) map[string]string {
	timeout := fmt.Sprint(timeoutMillis)
	return map[string]string{
		"enable_seqscan": "off", "enable_bitmapscan": "off", "enable_sort": "off", "enable_hashjoin": "off", "enable_mergejoin": "off",
		"plan_cache_mode": "force_generic_plan", "jit": "off", "client_min_messages": "warning",
		"default_transaction_isolation": "read committed", "timezone": "UTC",
		"statement_timeout": timeout, "lock_timeout": timeout, "idle_in_transaction_session_timeout": timeout,
	}
}

// claimAny and claimSome are the two kinds of claims: of whatever waits, and of
// what is not left to others.
type claims struct{ any, some string }

func claimStatements() claims {
	return claims{any: strings.TrimSpace(sqlClaim("")), some: strings.TrimSpace(sqlClaim(notLeft))}
}
