package postgres

import (
	"fmt"
	"strings"

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

	// sqlCounts gives the sums and the creation time of the oldest waiting task, 0 for none.
	sqlCounts = `SELECT sum(not_started)::bigint, sum(in_progress)::bigint, sum(finished)::bigint, sum(failed)::bigint, sum(cancelled)::bigint,
		coalesce(least(
			(SELECT created FROM tasks WHERE state = 'notStarted' AND not_before = 0 ORDER BY created, id LIMIT 1),
			(SELECT created FROM tasks WHERE state = 'notStarted' AND not_before > 0 ORDER BY created LIMIT 1)), 0)
		FROM counts`

	// sqlInsert adds tasks and gives those that were not there; in order, so that two
	// transactions never wait for each other in a circle.
	sqlInsert = `WITH t AS MATERIALIZED (SELECT ` + clock + ` AS now)
		INSERT INTO tasks (id, state, created, updated, blob_key, blob_size, blob_sha256, blob_type, pipeline, needs)
		SELECT n.id, 'notStarted', t.now, t.now, n.blob_key, n.blob_size, n.blob_sha256, n.blob_type, n.pipeline, n.needs
		FROM t, unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::bigint[])
			AS n (id, blob_key, blob_size, blob_sha256, blob_type, pipeline, needs)
		ORDER BY n.id COLLATE "C" ON CONFLICT (id) DO NOTHING RETURNING id, created`

	sqlSave = `UPDATE tasks SET state = n.state, updated = n.updated, tries = n.tries, deaths = n.deaths, worker = n.worker,
		lease_until = n.lease_until, not_before = n.not_before, progress = n.progress, result = n.result, failures = n.failures
		FROM unnest($1::text[], $2::text[], $3::bigint[], $4::int[], $5::int[], $6::text[], $7::bigint[], $8::bigint[],
			$9::double precision[], $10::text[], $11::text[])
			AS n (id, state, updated, tries, deaths, worker, lease_until, not_before, progress, result, failures)
		WHERE tasks.id = n.id AND tasks.id = ANY($1::text[])`

	// sqlCount changes the counts of the connection's own row.
	sqlCount = `UPDATE counts SET not_started = not_started + $1, in_progress = in_progress + $2, finished = finished + $3,
		failed = failed + $4, cancelled = cancelled + $5 WHERE shard = pg_backend_pid() % 128`

	// sqlExpired takes leases that have run out and that nobody is renewing; $2 how many.
	sqlExpired = `SELECT ` + columns + ` FROM tasks WHERE state = 'inProgress' AND lease_until <= ` + clock + `
		ORDER BY lease_until, id LIMIT $2 FOR UPDATE SKIP LOCKED`

	sqlFirstLease = `SELECT lease_until FROM tasks WHERE state = 'inProgress' ORDER BY lease_until, id LIMIT 1`

	// sqlShorten and sqlUnpause cut what lies further ahead than $2 from now.
	sqlShorten = `UPDATE tasks SET lease_until = ` + clock + ` + $2::bigint WHERE id = ANY(ARRAY(
		SELECT id FROM tasks WHERE state = 'inProgress' AND lease_until > ` + clock + ` + $2::bigint
		ORDER BY lease_until, id FOR UPDATE SKIP LOCKED))`
	sqlUnpause = `UPDATE tasks SET not_before = ` + clock + ` + $2::bigint WHERE id = ANY(ARRAY(
		SELECT id FROM tasks WHERE state = 'notStarted' AND not_before > 0 AND not_before > ` + clock + ` + $2::bigint
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

// sqlClaim serves several claims in one statement: each element of the arrays $2
// (worker), $3 (number of the claim) and $4 (microseconds that it has waited) is
// room for one task, $5 is how many there are and $6 the length of a lease. The
// oldest tasks go to the first rooms, of both kinds of waiting tasks. Rooms of
// silent workers are left out. It gives the number of the claim and the task.
//
// It locks as many tasks again as it takes only while some are paused whose pause
// is over; until the commit another process may find those taken.
func sqlClaim(notLeft string) string {
	return `WITH t AS MATERIALIZED (SELECT ` + clock + ` AS now),
	rooms AS MATERIALIZED (SELECT array_agg(c.worker ORDER BY c.i) AS workers, array_agg(c.n ORDER BY c.i) AS claims
		FROM t, unnest($2::text[], $3::int[], $4::bigint[]) WITH ORDINALITY AS c (worker, n, waited, i) WHERE NOT ` + silent + `),
	ready AS MATERIALIZED (SELECT id, created FROM tasks WHERE state = 'notStarted' AND not_before = 0` + notLeft + `
		ORDER BY created, id LIMIT $5 FOR UPDATE SKIP LOCKED),
	due AS MATERIALIZED (SELECT id FROM tasks WHERE state = 'notStarted' AND not_before > 0 AND not_before <= (SELECT now FROM t)` + notLeft + `
		ORDER BY not_before, id LIMIT 256),
	paused AS MATERIALIZED (SELECT id, created FROM tasks WHERE id = ANY(ARRAY(SELECT id FROM due)) AND state = 'notStarted'
		AND not_before <= (SELECT now FROM t)
		ORDER BY created, id LIMIT $5 FOR UPDATE SKIP LOCKED),
	picked AS MATERIALIZED (SELECT id, row_number() OVER (ORDER BY created, id) AS k
		FROM (SELECT id, created FROM ready UNION ALL SELECT id, created FROM paused) AS both_kinds),
	moved AS (UPDATE tasks SET state = 'inProgress', updated = t.now, attempt = attempt + 1, worker = rooms.workers[p.k],
			lease_until = t.now + $6::bigint, not_before = 0, progress = 0
		FROM t, rooms, picked AS p
		WHERE tasks.id = p.id AND tasks.id = ANY(ARRAY(SELECT id FROM picked)) AND p.k <= coalesce(cardinality(rooms.workers), 0)
		RETURNING rooms.claims[p.k] AS n, ` + qualified + `),
	counted AS (UPDATE counts SET not_started = not_started - m.n, in_progress = in_progress + m.n
		FROM (SELECT count(*) AS n FROM moved) AS m WHERE shard = pg_backend_pid() % 128 AND m.n > 0)
	SELECT * FROM moved`
}

// qualified is columns of tasks where another table has an id as well.
const qualified = `tasks.id, state, created, updated, attempt, tries, deaths, worker, lease_until, not_before, progress,
	blob_key, blob_size, blob_sha256, blob_type, pipeline, result, failures, needs`

// notLeft is the condition on a task that is not left to others: $7 what the worker
// can, $8 what each of the others can.
const notLeft = ` AND ((needs & ~$7::bigint) = 0 OR NOT EXISTS (SELECT 1 FROM unnest($8::bigint[]) AS o (can) WHERE (needs & ~o.can) = 0))`

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
