package postgres

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/backend"
)

// maxExpire bounds the leases that one Expire ends.
const maxExpire = 1000

// maxRooms bounds the tasks that one statement claims.
const maxRooms = 256

// queueRows saves the rows that have changed, in one statement.
func (t *transaction) queueRows(b *pgx.Batch) error {
	var ids, again, states, workers []string
	var updated, leases, pauses []int64
	var tries, deaths []int32
	var progress []float64
	var results, failures []*string
	var gone []string
	for id, r := range t.rows {
		if r.gone {
			gone = append(gone, id)
			t.counts[r.was]--
			continue
		}
		if !r.dirty {
			continue
		}
		result, failed, err := backend.Encode(r.task)
		if err != nil {
			return err
		}
		ids, states, workers = append(ids, id), append(states, string(r.task.State)), append(workers, r.task.Worker)
		updated, leases = append(updated, backend.Micros(r.task.Updated)), append(leases, backend.Micros(r.task.LeaseUntil))
		pauses, progress = append(pauses, backend.Micros(r.task.NotBefore)), append(progress, r.task.Progress)
		tries, deaths = append(tries, int32(r.task.Tries)), append(deaths, int32(r.task.Deaths)) //nolint:gosec // few
		results, failures = append(results, result), append(failures, failed)
		t.counts[r.was]--
		t.counts[r.task.State]++
		if r.task.Again(r.was) {
			again = append(again, id)
		}
	}
	if len(again) > 0 {
		b.Queue(sqlPlace, again) // before they wait
	}
	if len(gone) > 0 {
		b.Queue(sqlDelete, gone)
	}
	if len(ids) > 0 {
		b.Queue(sqlSave, ids, states, updated, tries, deaths, workers, leases, pauses, progress, results, failures)
	}
	return nil
}

// queueCounts brings the counts up to date, but for what claims move.
func (t *transaction) queueCounts(b *pgx.Batch) {
	by := make([]any, 0, len(taskdb.States()))
	some := false
	for _, state := range taskdb.States() {
		by = append(by, t.counts[state])
		some = some || t.counts[state] != 0
	}
	if some {
		b.Queue(sqlCount, by...)
	}
}

// firstEnds reads when the next lease, pause and schedule end.
func (t *transaction) firstEnds(row pgx.Row) error {
	var lease, pause, schedule int64
	err := row.Scan(&lease, &pause, &schedule)
	for _, w := range t.expiries {
		w.Do.next = t.s.cfg.NextExpiry(t.now, backend.Moment(lease), backend.Moment(pause), backend.Moment(schedule))
	}
	return err
}

// woke reads tasks whose pause or schedule is over.
func (t *transaction) woke(rows pgx.Rows) error {
	defer rows.Close()
	for rows.Next() {
		task, err := backend.Scan(rows)
		if err != nil {
			return err
		}
		t.changed = append(t.changed, task)
	}
	return rows.Err()
}

// queueClaims serves all claims: those of anything together, those that leave some
// tasks to others one by one.
func (t *transaction) queueClaims(b *pgx.Batch) {
	if len(t.claims)+len(t.expiries) > 0 {
		b.Queue(sqlWake, t.clock, taskdb.MaxWake).Query(t.woke)
	}
	if len(t.expiries) > 0 {
		b.Queue(sqlFirstEnds).QueryRow(t.firstEnds)
	}
	var r rooms
	for n, w := range t.claims {
		c := w.Do.claim
		if len(c.Others) > 0 {
			continue
		}
		if len(r.claims) > 0 && len(r.claims)+c.Max > maxRooms {
			t.queueRooms(b, t.s.claims.any, r, nil)
			r = rooms{}
		}
		r.add(n, c)
	}
	if len(r.claims) > 0 {
		t.queueRooms(b, t.s.claims.any, r, nil)
	}
	for n, w := range t.claims {
		if c := w.Do.claim; len(c.Others) > 0 {
			var own rooms
			own.add(n, c)
			t.queueRooms(b, t.s.claims.some, own, c)
		}
	}
}

// rooms are places for tasks: whose, for which claim, and how long that has waited.
type rooms struct {
	workers []string
	claims  []int32
	waited  []int64
	asked   bool // one of them has waited
}

func (r *rooms) add(n int, c *taskdb.Claim) {
	for range c.Max {
		r.workers, r.claims = append(r.workers, c.Worker), append(r.claims, int32(n)) //nolint:gosec // below maxBatch
		r.waited = append(r.waited, (time.Duration(c.WaitedMillis) * time.Millisecond).Microseconds())
	}
	r.asked = r.asked || c.WaitedMillis > 0
}

// queueRooms fills rooms by one statement. The one before it looks at the clock a
// moment earlier: what is served has not been refused.
func (t *transaction) queueRooms(b *pgx.Batch, statement string, r rooms, leaves *taskdb.Claim) {
	if r.asked {
		b.Queue(sqlRefused, t.clock, r.workers, r.claims, r.waited).Query(t.refused)
	}
	h := &handout{most: len(r.claims), share: t.s.lanes.Reserve(len(r.claims))}
	t.handouts = append(t.handouts, h)
	args := []any{t.clock, r.workers, r.claims, r.waited, h.most, t.s.cfg.Lease.Microseconds(), h.share}
	if leaves != nil {
		others := make([]int64, len(leaves.Others))
		for i, can := range leaves.Others {
			others[i] = int64(can) //nolint:gosec // below 2^53
		}
		args = append(args, int64(leaves.Can), others) //nolint:gosec // below 2^53
	}
	b.Queue(statement, args...).Query(func(rows pgx.Rows) error { return t.claimed(rows, h) })
}

// handout is what one statement hands out: at most so many tasks, with this share of
// Batch, and what it was in the end.
type handout struct{ most, share, interactive, batch int }

// settle tells the lanes what was handed out instead of what was reserved for it:
// nothing, unless the transaction was committed.
func (t *transaction) settle(committed bool) {
	for _, h := range t.handouts {
		t.s.lanes.Release(h.most, h.share)
		if committed {
			t.s.lanes.Took(h.interactive, h.batch)
		}
	}
}

// refused reads which claims come from silent workers.
func (t *transaction) refused(rows pgx.Rows) error {
	var n int32
	_, err := pgx.ForEachRow(rows, []any{&n}, func() error {
		t.claims[n].Err = taskdb.Silent(*t.claims[n].Do.claim)
		return nil
	})
	return err
}

// claimed reads the tasks that were claimed, and for which claim.
func (t *transaction) claimed(rows pgx.Rows, h *handout) error {
	defer rows.Close()
	for rows.Next() {
		var n int32
		var turn int64
		task, err := backend.Scan(rows, &n, &turn)
		if err != nil {
			return err
		}
		w := t.claims[n]
		w.Err = nil // it was refused a moment too early, see queueRooms
		w.Do.tasks = append(w.Do.tasks, task)
		if task.Lane == taskdb.Batch {
			h.batch++
		} else {
			h.interactive++
		}
	}
	return rows.Err()
}

// answerClaims puts what was claimed in order, which RETURNING does not promise.
func (t *transaction) answerClaims() {
	for _, w := range t.claims {
		slices.SortFunc(w.Do.tasks, func(a, b taskdb.Task) int {
			return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
		})
		t.changed = append(t.changed, w.Do.tasks...)
	}
}

// committed refuses an end of the transaction that was none: the server answers
// ROLLBACK to the COMMIT of a transaction that has failed.
func committed(tag pgconn.CommandTag) error {
	if tag.String() != "COMMIT" {
		return errors.New("the commit was answered with " + tag.String())
	}
	return nil
}
