//go:build unix

package postgres

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/backend"
	"imagemill/services/taskdb/taskdbtest"
)

func exec(t *testing.T, s *Store, statement string) {
	t.Helper()
	_, err := s.reader.Exec(t.Context(), statement)
	require.NoError(t, err)
}

// total counts all tasks, by rows and by counts, which must agree in every state.
func total(t *testing.T, s *Store) (n int64) {
	t.Helper()
	st, err := s.Stats(t.Context())
	require.NoError(t, err)
	for state, count := range st.States {
		var rows int64
		require.NoError(t, s.reader.QueryRow(t.Context(), "SELECT count(*) FROM tasks WHERE state = $1", string(state)).Scan(&rows))
		require.Equal(t, rows, count, state)
		n += rows
	}
	return n
}

func creating(ctx context.Context, n taskdb.NewTask) *write {
	return backend.NewWrite(ctx, &op{create: &n})
}

// All that can meet in one transaction meets: the outcomes are as if each had come
// alone, one after the other.
func TestOneTransactionOfEverything(t *testing.T) {
	s := openAt(t, Shared.Database(t))
	_, err := s.Create(t.Context(), taskdbtest.New(1))
	require.NoError(t, err)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	other := taskdbtest.New(2)
	other.Original.Size++
	old := taskdbtest.New(1)
	old.Original.Size++
	unknown := backend.NewWrite(t.Context(), &op{id: taskdbtest.ID(9), rule: taskdb.Stopped})
	cancelled := backend.NewWrite(t.Context(), &op{id: taskdbtest.ID(2), rule: taskdb.Stopped})
	again := backend.NewWrite(t.Context(), &op{id: taskdbtest.ID(2), rule: taskdb.Retried})
	claims := []*write{
		backend.NewWrite(t.Context(), &op{claim: &taskdb.Claim{Worker: "a", Max: 2}}),
		backend.NewWrite(t.Context(), &op{claim: &taskdb.Claim{Worker: "b", Max: 3}}),
		backend.NewWrite(t.Context(), &op{claim: &taskdb.Claim{Worker: "c", Max: 1, Can: 1, Others: []uint64{2}}}),
	}
	batch := []*write{
		creating(t.Context(), taskdbtest.New(3)), creating(t.Context(), taskdbtest.New(2)), creating(t.Context(), other),
		creating(t.Context(), taskdbtest.New(2)), creating(t.Context(), taskdbtest.New(1)), creating(t.Context(), old),
		creating(gone, taskdbtest.New(4)), unknown, cancelled, again, backend.NewWrite(t.Context(), &op{expire: true}),
	}
	s.commit(append(batch, claims...))
	for i, want := range []fault.Kind{"", "", fault.Conflict, "", "", fault.Conflict, fault.Canceled, fault.NotFound, "", "", ""} {
		require.Equal(t, want, fault.KindOf(batch[i].Err), "%d: %v", i, batch[i].Err)
	}
	require.Equal(t, taskdb.NotStarted, again.Do.task.State)
	require.Len(t, claims[0].Do.tasks, 2)
	require.Equal(t, taskdbtest.ID(1), claims[0].Do.tasks[0].ID, "the oldest goes to the first")
	require.Len(t, claims[1].Do.tasks, 1)
	require.Equal(t, "b", claims[1].Do.tasks[0].Worker)
	require.Empty(t, claims[2].Do.tasks)
	require.EqualValues(t, 3, total(t, s))
}

// What is damaged in one row does not hide the others, nor does a write that fails
// take those with it that came at the same moment.
func TestADamagedRow(t *testing.T) {
	s := openAt(t, Shared.Database(t))
	for n := 1; n <= 3; n++ {
		_, err := s.Create(t.Context(), taskdbtest.New(n))
		require.NoError(t, err)
	}
	for _, column := range []string{"result", "failures"} {
		exec(t, s, "UPDATE tasks SET "+column+" = '{' WHERE id = '"+taskdbtest.ID(1)+"'")
		_, err := s.Get(t.Context(), taskdbtest.ID(1))
		require.ErrorContains(t, err, "decode "+column)
		require.Equal(t, fault.Internal, fault.KindOf(err))
		require.NotContains(t, fault.As(err).Public, "decode", "the public is told nothing of our insides")
		stopped := backend.NewWrite(t.Context(), &op{id: taskdbtest.ID(1), rule: taskdb.Stopped})
		made := creating(t.Context(), taskdbtest.New(10+len(column)))
		impossible := backend.NewWrite(t.Context(), &op{claim: &taskdb.Claim{Worker: "a\x00b", Max: 3}})
		s.commit([]*write{stopped, impossible, made})
		require.ErrorContains(t, stopped.Err, "decode "+column)
		require.Equal(t, fault.Internal, fault.KindOf(impossible.Err), "%v", impossible.Err)
		require.NoError(t, made.Err)
		exec(t, s, "UPDATE tasks SET "+column+" = NULL")
	}
	tasks, err := s.Claim(t.Context(), taskdb.Claim{Worker: "w", Max: 9})
	require.NoError(t, err)
	require.Len(t, tasks, 5)
	require.EqualValues(t, 5, total(t, s))
}

// A table that cannot be read is an error of ours, and never "there is no task".
func TestABrokenTableIsNotAMissingTask(t *testing.T) {
	s := openAt(t, Shared.Database(t))
	_, err := s.Create(t.Context(), taskdbtest.New(1))
	require.NoError(t, err)
	exec(t, s, "ALTER TABLE tasks RENAME COLUMN lease_until TO gone")
	_, err = s.Get(t.Context(), taskdbtest.ID(1))
	require.Equal(t, fault.Internal, fault.KindOf(err), "%v", err)
	_, err = s.Cancel(t.Context(), taskdbtest.ID(1))
	require.Equal(t, fault.Internal, fault.KindOf(err), "%v", err)
	_, err = s.Claim(t.Context(), taskdb.Claim{Worker: "w", Max: 1})
	require.Equal(t, fault.Internal, fault.KindOf(err), "%v", err)
	exec(t, s, "ALTER TABLE tasks RENAME COLUMN gone TO lease_until")
	_, err = s.Claim(t.Context(), taskdb.Claim{Worker: "w", Max: 1})
	require.NoError(t, err, "it goes on as if nothing had been")
}

// Connections that an operator ends, and a deadlock with somebody else, are not
// noticed by callers.
func TestEndedConnectionsAreNotNoticed(t *testing.T) {
	s := openAt(t, Shared.Database(t))
	for n := range 20 {
		_, err := s.Create(t.Context(), taskdbtest.New(n))
		require.NoError(t, err)
		_, err = s.Get(t.Context(), taskdbtest.ID(n))
		require.NoError(t, err)
		exec(t, s, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	}
	require.EqualValues(t, 20, total(t, s))
}

// A row that somebody else holds makes a write wait, and no longer than a call may.
func TestALockedRow(t *testing.T) {
	database := Shared.Database(t)
	s := openAt(t, database)
	hasty := openAt(t, database, func(c *taskdb.Config) { c.Timeout = time.Second })
	_, err := s.Create(t.Context(), taskdbtest.New(1))
	require.NoError(t, err)
	other, err := pgx.Connect(t.Context(), database)
	require.NoError(t, err)
	defer other.Close(context.Background())
	tx, err := other.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM tasks FOR UPDATE")
	require.NoError(t, err)
	tasks, err := s.Claim(t.Context(), taskdb.Claim{Worker: "w", Max: 1})
	require.NoError(t, err)
	require.Empty(t, tasks, "a claim waits for nobody")
	_, err = hasty.Cancel(t.Context(), taskdbtest.ID(1))
	require.Equal(t, fault.Unavailable, fault.KindOf(err), "%v", err)
	require.NoError(t, tx.Rollback(t.Context()))
	require.Eventually(t, func() bool {
		_, err = hasty.Cancel(t.Context(), taskdbtest.ID(1))
		return err == nil
	}, time.Minute, time.Millisecond)
}

// troubled lets the n-th change of the counts from now on fail with a code, after what
// its transaction has claimed before.
func troubled(t *testing.T, s *Store, n int, code string) {
	t.Helper()
	exec(t, s, "CREATE SEQUENCE troubles")
	exec(t, s, fmt.Sprintf(`CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF nextval('troubles') = %d THEN RAISE EXCEPTION 'trouble' USING ERRCODE = '%s'; END IF; RETURN NEW; END $$`, n, code))
	exec(t, s, "CREATE TRIGGER trouble BEFORE UPDATE ON counts FOR EACH ROW EXECUTE FUNCTION trouble()")
}

func claiming(t *testing.T, c taskdb.Claim) *write {
	return backend.NewWrite(t.Context(), &op{claim: &c})
}

// What a transaction has claimed that was rolled back is nobody's: carried out again,
// together or one by one, each claim gets what it has claimed in the end.
func TestClaimsOfARolledBackTransactionAreNotGiven(t *testing.T) {
	for code, why := range map[string]string{"53200": "repeated together", "XX000": "repeated one by one"} {
		s := openAt(t, Shared.Database(t))
		for n := 1; n <= 2; n++ {
			_, err := s.Create(t.Context(), taskdbtest.New(n))
			require.NoError(t, err)
		}
		troubled(t, s, 2, code)
		claims := []*write{
			claiming(t, taskdb.Claim{Worker: "a", Max: 1}),
			claiming(t, taskdb.Claim{Worker: "b", Max: 1, Can: 1, Others: []uint64{2}}),
		}
		s.commit(claims)
		for i, w := range claims {
			require.NoError(t, w.Err, why)
			require.Len(t, w.Do.tasks, 1, why)
			require.Equal(t, taskdbtest.ID(i+1), w.Do.tasks[0].ID, why)
			require.Equal(t, 1, w.Do.tasks[0].Attempt, why)
		}
		require.EqualValues(t, 2, total(t, s))
	}
}

// Claims that leave tasks to others have a statement each: together they get no more
// of Batch than one after the other, also when they are carried out again.
func TestClaimsOfOneTransactionShareTheLanes(t *testing.T) {
	s := openAt(t, Shared.Database(t))
	for n := range 40 {
		task := taskdbtest.New(n)
		if n >= 30 {
			task.Lane = taskdb.Batch
		}
		_, err := s.Create(t.Context(), task)
		require.NoError(t, err)
	}
	take := func(many int) (batch int) {
		claims := make([]*write, many)
		for i := range claims {
			claims[i] = claiming(t, taskdb.Claim{Worker: "w", Max: 1, Can: 1, Others: []uint64{2}})
		}
		s.commit(claims)
		for _, w := range claims {
			require.NoError(t, w.Err)
			require.Len(t, w.Do.tasks, 1)
			batch += backend.LaneNumber(w.Do.tasks[0].Lane)
		}
		return batch
	}
	require.Zero(t, take(taskdb.BatchShare-1))
	troubled(t, s, 10, "53200")
	require.Equal(t, 2, take(taskdb.BatchShare+2), "the first and the ninth")
	require.Zero(t, take(taskdb.BatchShare-2))
	require.Equal(t, 1, take(1))
}

// A claim that seemed to come from a silent worker, and no longer when it was served a
// moment later, is given its tasks: nobody else will be.
func TestAClaimThatWasServedIsNotRefused(t *testing.T) {
	database := Shared.Database(t)
	s := openAt(t, database)
	_, err := s.Create(t.Context(), taskdbtest.New(1))
	require.NoError(t, err)
	// A clock that is a second later whenever it is looked at.
	exec(t, s, "CREATE SEQUENCE seconds START 1000000000")
	exec(t, s, "CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT to_timestamp(nextval('public.seconds')) $$")
	exec(t, s, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$")
	late := openAt(t, database)
	for second := range 8 { // at one of them the silence lies between the two moments
		exec(t, late, "DELETE FROM silences")
		exec(t, late, fmt.Sprintf("INSERT INTO silences SELECT 'w', (nextval('seconds') + %d - 60) * 1000000", second))
		tasks, err := late.Claim(t.Context(), taskdb.Claim{Worker: "w", Max: 1, WaitedMillis: time.Minute.Milliseconds()})
		task, gerr := late.Get(t.Context(), taskdbtest.ID(1))
		require.NoError(t, gerr)
		require.Equal(t, task.State == taskdb.InProgress, len(tasks) == 1, "second %d: %v, %v", second, task.State, err)
		if err == nil && len(tasks) == 1 {
			require.NoError(t, late.Release(t.Context(), taskdb.Lease{ID: tasks[0].ID, Attempt: tasks[0].Attempt}))
		}
	}
}

// What the same batch deletes is not retried, and the batch needs no second attempt.
func TestRetriesBesideADeletion(t *testing.T) {
	s := openAt(t, Shared.Database(t))
	for n := 1; n <= 2; n++ {
		_, err := s.Create(t.Context(), taskdbtest.New(n))
		require.NoError(t, err)
	}
	exec(t, s, "UPDATE tasks SET state = 'failed'")
	exec(t, s, "UPDATE counts SET failed = not_started, not_started = 0")
	gone := backend.NewWrite(t.Context(), &op{id: taskdbtest.ID(1), remove: true})
	retry := backend.NewWrite(t.Context(), &op{failed: &failed{limit: 10}})
	_, err := s.attempt([]*write{gone, retry})
	require.NoError(t, err)
	require.Equal(t, 1, retry.Do.failed.retries.Retried)
	require.EqualValues(t, 1, total(t, s))
}
