package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/backend"
)

// transaction carries a batch out: look, decide, save.
type transaction struct {
	s     *Store
	conn  *pgx.Conn
	clock *int64
	begun bool

	creates, changes, claims, expiries, failed, purges []*write

	now      time.Time
	rows     map[string]*row
	keys     map[string]*row // of those that creations may repeat
	inserted map[string]taskdb.Task
	expired  []string
	due      []string // to be removed
	silent   []string // workers whose leases have run out
	counts   map[taskdb.State]int64
	changed  []taskdb.Task // what to publish
	handouts []*handout    // one for each statement that claims
}

// row is a task that is locked.
type row struct {
	task  taskdb.Task
	was   taskdb.State
	dirty bool
	gone  bool
	err   error // it cannot be read
}

// newTransaction sorts a batch, and leaves out those whose callers have left
// before it began. Nothing stays of an attempt before.
func newTransaction(s *Store, conn *pgx.Conn, batch []*write) *transaction {
	t := &transaction{
		s: s, conn: conn, clock: s.clockArg(),
		rows: map[string]*row{}, inserted: map[string]taskdb.Task{}, counts: map[taskdb.State]int64{},
	}
	for _, w := range batch {
		w.Err, w.Do.answer = w.Ctx.Err(), answer{}
		switch {
		case w.Err != nil:
		case w.Do.create != nil:
			t.creates = append(t.creates, w)
		case w.Do.rule != nil, w.Do.remove:
			t.changes = append(t.changes, w)
		case w.Do.purge != nil:
			t.purges = append(t.purges, w)
		case w.Do.failed != nil:
			t.failed = append(t.failed, w)
		case w.Do.claim != nil:
			t.claims = append(t.claims, w)
		case w.Do.expire:
			t.expiries = append(t.expiries, w)
		}
	}
	return t
}

func (t *transaction) run(ctx context.Context) error {
	switch {
	case len(t.creates)+len(t.changes)+len(t.expiries)+len(t.failed)+len(t.purges) > 0:
		if err := t.look(ctx); err != nil {
			return err
		}
		if err := t.decide(); err != nil {
			return err
		}
	case len(t.claims) == 0:
		return nil // all have left
	}
	return t.save(ctx)
}

// pipeline gathers statements for one round trip; the first one begins the
// transaction.
func (t *transaction) pipeline() *pgx.Batch {
	b := &pgx.Batch{}
	if !t.begun {
		b.Queue("BEGIN")
		t.begun = true
	}
	return b
}

// look inserts what is new, locks what is to change and reads the clock. Only the
// first two wait for others, both in rising order of ID.
func (t *transaction) look(ctx context.Context) error {
	b := t.pipeline()
	if err := t.queueInserts(b); err != nil {
		return err
	}
	if len(t.changes) > 0 {
		b.Queue(sqlLock, t.ids(t.changes)).Query(t.lock)
	}
	if len(t.expiries) > 0 {
		b.Queue(sqlShorten, t.clock, t.s.cfg.Lease.Microseconds())
		b.Queue(sqlUnpause, t.clock, t.s.cfg.BackoffMax.Microseconds())
		b.Queue(sqlExpired, t.clock, maxExpire).Query(func(rows pgx.Rows) error { return t.read(rows, &t.expired) })
	}
	t.queueFailed(b)
	for _, w := range t.purges {
		t.queueDue(b, *w.Do.purge)
	}
	b.Queue(sqlClock, t.clock).QueryRow(func(r pgx.Row) error {
		var now int64
		err := r.Scan(&now)
		t.now = backend.Moment(now)
		return err
	})
	if err := t.conn.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("read tasks: %w", err)
	}
	return t.lookAgain(ctx)
}

// lookAgain reads the tasks whose creation is a repeat: those that have the IDs,
// or the idempotency keys.
func (t *transaction) lookAgain(ctx context.Context) error {
	var there, keys []string
	for _, w := range t.creates {
		n := w.Do.create
		if _, isNew := t.inserted[n.ID]; isNew || t.rows[n.ID] != nil {
			continue
		}
		there = append(there, n.ID)
		if n.IdempotencyKey != "" {
			keys = append(keys, n.IdempotencyKey)
		}
	}
	if len(there) == 0 {
		return nil
	}
	rows, err := t.conn.Query(ctx, sqlRepeated, there, keys)
	if err == nil {
		err = t.read(rows, nil)
	}
	if err != nil {
		return fmt.Errorf("read tasks: %w", err)
	}
	t.keys = map[string]*row{}
	for _, r := range t.rows {
		if key := r.task.IdempotencyKey; key != "" {
			t.keys[key] = r
		}
	}
	for _, w := range t.creates {
		if n := w.Do.create; t.there(*n) == nil && t.inserted[n.ID].ID == "" {
			return vanished{n.ID}
		}
	}
	return nil
}

// there is who has the ID of a new task or, in second place, its idempotency key.
func (t *transaction) there(n taskdb.NewTask) *row {
	if r := t.rows[n.ID]; r != nil || n.IdempotencyKey == "" {
		return r
	}
	return t.keys[n.IdempotencyKey]
}

// ids gives the IDs of changes, each once.
func (t *transaction) ids(all []*write) []string {
	ids := make([]string, len(all))
	for i, w := range all {
		ids[i] = w.Do.id
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// queueInserts inserts each new ID once, as the first of its creations says.
func (t *transaction) queueInserts(b *pgx.Batch) error {
	if len(t.creates) == 0 {
		return nil
	}
	first := map[string]*taskdb.NewTask{}
	var ids, keys, sums, types, pipelines []string
	var sizes, needs, ats, delays []int64
	var lanes []int32
	var owners []string
	var repeats []*string
	var expires, keeps []int64
	var results []*string
	var twins []*int64
	for _, w := range t.creates {
		n := w.Do.create
		if first[n.ID] != nil {
			continue
		}
		first[n.ID] = n
		ids, keys, sizes, sums = append(ids, n.ID), append(keys, n.Original.Key), append(sizes, n.Original.Size), append(sums, n.Original.SHA256)
		types, pipelines = append(types, n.Original.ContentType), append(pipelines, string(n.Pipeline))
		needs = append(needs, int64(n.Needs))                                                     //nolint:gosec // below 2^53
		lanes, owners = append(lanes, int32(backend.LaneNumber(n.Lane))), append(owners, n.Owner) //nolint:gosec // 0 or 1
		ats, delays = append(ats, backend.Micros(n.NotBefore)), append(delays, (time.Duration(n.DelayMillis)*time.Millisecond).Microseconds())
		expires, keeps = append(expires, backend.Micros(n.Expires)), append(keeps, (time.Duration(n.KeepMillis)*time.Millisecond).Microseconds())
		repeats = append(repeats, backend.OrNull(n.IdempotencyKey))
		task := taskdb.Task{ID: n.ID, Owner: n.Owner, Original: n.Original, Pipeline: n.Pipeline, Dedupe: n.Dedupe, Result: n.Result}
		result, _, err := backend.Encode(task)
		if err != nil {
			return err
		}
		results, twins = append(results, result), append(twins, backend.Twin(task))
	}
	b.Queue(sqlInsert, t.clock, ids, keys, sizes, sums, types, pipelines, needs, repeats, lanes, owners, ats, delays, expires, keeps, results, twins).Query(func(rows pgx.Rows) error {
		var id string
		var created, due int64
		_, err := pgx.ForEachRow(rows, []any{&id, &created, &due}, func() error {
			task, _ := taskdb.Created(*first[id], backend.Moment(created)) // how far ahead was looked at before
			task.NotBefore = backend.Moment(due)
			t.inserted[id] = task
			return nil
		})
		return err
	})
	return nil
}

// lock reads rows that are locked.
func (t *transaction) lock(rows pgx.Rows) error { return t.read(rows, nil) }

// read keeps the rows of tasks, and their IDs where those are asked for. What was
// read before stays: it is as new.
func (t *transaction) read(rows pgx.Rows, ids *[]string) error {
	defer rows.Close()
	for rows.Next() {
		task, err := backend.Scan(rows)
		if task.ID == "" {
			return err
		}
		if t.rows[task.ID] == nil {
			t.rows[task.ID] = &row{task: task, was: task.State, err: err}
		}
		if ids != nil {
			*ids = append(*ids, task.ID)
		}
	}
	return rows.Err()
}

// decide asks the rules.
func (t *transaction) decide() error {
	for _, w := range t.creates {
		w.Do.task, w.Err = t.created(*w.Do.create)
	}
	for _, task := range t.inserted {
		t.counts[task.State]++
		t.changed = append(t.changed, task)
	}
	for _, w := range t.changes {
		if w.Do.remove {
			w.Do.removed, w.Err = t.remove(w.Do.id)
			continue
		}
		w.Do.task, w.Err = t.change(w.Do.id, w.Do.rule)
	}
	if err := errors.Join(t.retryFailed(), t.purge()); err != nil {
		return err
	}
	if len(t.expiries) == 0 {
		return nil
	}
	ended, err := t.expire()
	t.expiries[0].Do.tasks = ended
	return err
}

// created is the outcome of a creation.
func (t *transaction) created(n taskdb.NewTask) (taskdb.Task, error) {
	if task, isNew := t.inserted[n.ID]; isNew {
		return n.Answer(task)
	}
	r := t.there(n)
	switch {
	case r == nil:
		return taskdb.Task{}, fmt.Errorf("task %s is neither new nor there", n.ID)
	case r.err != nil:
		return taskdb.Task{}, r.err
	}
	return n.Answer(r.task)
}

// locked gives the row of a task that is locked, and still there.
func (t *transaction) locked(id string) (*row, error) {
	r := t.rows[id]
	switch {
	case r == nil || r.gone:
		return nil, taskdb.NotFound(id)
	case r.err != nil:
		return nil, fmt.Errorf("read task %s: %w", id, r.err)
	}
	return r, nil
}

// change applies a rule to a task that is locked.
func (t *transaction) change(id string, rule backend.Rule) (taskdb.Task, error) {
	r, err := t.locked(id)
	if err != nil {
		return taskdb.Task{}, err
	}
	task, changed, err := rule(r.task, t.now)
	if err != nil || !changed {
		return task, err
	}
	r.task, r.dirty = task, true
	t.changed = append(t.changed, task)
	return task, nil
}

// expire ends the leases that were found to have run out, and that no change of
// the same batch has extended or ended.
func (t *transaction) expire() ([]taskdb.Task, error) {
	ended := []taskdb.Task{}
	for _, id := range t.expired {
		r := t.rows[id]
		if r.err != nil {
			return nil, fmt.Errorf("read task %s: %w", id, r.err)
		}
		if r.gone || r.task.State != taskdb.InProgress || r.task.LeaseUntil.After(t.now) {
			continue
		}
		worker := r.task.Worker
		task, err := t.change(id, func(task taskdb.Task, now time.Time) (taskdb.Task, bool, error) {
			task, err := t.s.cfg.Expired(task, now)
			return task, err == nil, err
		})
		if err != nil {
			return nil, err
		}
		ended = append(ended, task)
		t.silent = append(t.silent, worker)
	}
	slices.Sort(t.silent)
	t.silent = slices.Compact(t.silent)
	return ended, nil
}

// save writes what was decided, claims, and commits.
func (t *transaction) save(ctx context.Context) error {
	b := t.pipeline()
	if err := t.queueRows(b); err != nil {
		return err
	}
	if len(t.silent) > 0 {
		b.Queue(sqlSilent, t.silent, backend.Micros(t.now))
		b.Queue(sqlForget, backend.Micros(t.now.Add(-taskdb.SilenceKept)))
	}
	t.queueClaims(b)
	t.queueCounts(b)
	b.Queue("COMMIT").Exec(committed)
	if err := t.conn.SendBatch(ctx, b).Close(); err != nil {
		err = fmt.Errorf("commit: %w", err)
		if !refusesCommit(err) {
			err = doubt{err}
		}
		return err
	}
	t.answerClaims()
	return nil
}
