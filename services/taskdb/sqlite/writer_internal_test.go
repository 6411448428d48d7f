package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sqlitedrv "modernc.org/sqlite"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/backend"
)

func newTask(n int) taskdb.NewTask {
	id := fmt.Sprintf("01890000-0000-7000-8000-%012x", n)
	return taskdb.NewTask{
		ID: id, Pipeline: []byte(`{}`), Original: taskdb.Blob{Key: id, Size: 1, SHA256: strings.Repeat("0f", 32)},
	}
}

// creating is a write that adds the n-th task.
func creating(ctx context.Context, n int) *op {
	return backend.NewWrite[change](ctx, func(se *session, now time.Time) error {
		t, err := taskdb.Created(newTask(n), now)
		if err == nil {
			_, err = se.insert(t)
		}
		return err
	})
}

// total counts all tasks, by rows and by counts, which must agree.
func total(t *testing.T, s *Store) int64 {
	t.Helper()
	var rows, counts int64
	require.NoError(t, s.reader.QueryRowContext(t.Context(), "SELECT count(*) FROM tasks").Scan(&rows))
	require.NoError(t, s.reader.QueryRowContext(t.Context(), "SELECT sum(tasks) FROM counts").Scan(&counts))
	require.Equal(t, rows, counts)
	return rows
}

func TestEveryConnectionIsDurable(t *testing.T) {
	s := openStore(t)
	value := func(q interface {
		QueryRowContext(context.Context, string, ...any) *sql.Row
	}, name string,
	) string {
		var v string
		require.NoError(t, q.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&v))
		return v
	}
	for range 4 { // all held at once, so that they are different ones
		c, err := s.reader.Conn(t.Context())
		require.NoError(t, err)
		defer c.Close()
		require.Equal(t, "2", value(c, "synchronous"))
		require.Equal(t, "1", value(c, "query_only"))
	}
	require.Equal(t, "2", value(s.conn, "synchronous"))
	require.Equal(t, "wal", value(s.conn, "journal_mode"))
	require.Equal(t, "1", value(s.conn, "foreign_keys"))
	require.Equal(t, "5000", value(s.conn, "busy_timeout"))
}

// A database in memory cannot have a log, so its connection must be refused.
func TestConnectionThatIsNotDurableIsRefused(t *testing.T) {
	s := openStore(t)
	_, err := (&connector{drv: s.writer.Driver().(*sqlitedrv.Driver), dsn: ":memory:"}).Connect(t.Context())
	require.ErrorContains(t, err, "journal_mode")
}

func TestRefusedWriteLeavesTheOthersAlone(t *testing.T) {
	s := openStore(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	refused := backend.NewWrite[change](t.Context(), func(*session, time.Time) error { return errors.New("no") })
	batch := []*op{creating(t.Context(), 1), refused, creating(gone, 2), creating(t.Context(), 3)}
	s.commit(batch)
	require.NoError(t, batch[0].Err)
	require.EqualError(t, refused.Err, "no")
	require.ErrorIs(t, batch[2].Err, context.Canceled)
	require.NoError(t, batch[3].Err)
	require.EqualValues(t, 2, total(t, s))
}

// A commit that fails has happened for nobody, and is not tried again.
func TestFailedCommitFailsAll(t *testing.T) {
	s := openStore(t)
	_, err := s.conn.ExecContext(t.Context(), "CREATE TABLE parent (id INTEGER PRIMARY KEY);"+
		"CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)")
	require.NoError(t, err)
	orphan := backend.NewWrite[change](t.Context(), func(se *session, _ time.Time) error {
		_, err := se.conn.ExecContext(se.ctx, "INSERT INTO child VALUES (1)") // noticed by COMMIT only
		return err
	})
	batch := []*op{creating(t.Context(), 1), orphan}
	s.commit(batch)
	for _, o := range batch {
		require.ErrorContains(t, o.Err, "commit")
		require.Equal(t, fault.Internal, fault.KindOf(o.Err))
	}
	require.Zero(t, total(t, s))
	_, err = s.Create(t.Context(), newTask(2))
	require.NoError(t, err, "the next one is not harmed")
}

func TestFullDisk(t *testing.T) {
	s := openStore(t)
	var pages int
	require.NoError(t, s.conn.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages))
	limit := func(n int) {
		var got int
		require.NoError(t, s.conn.QueryRowContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count=%d", n)).Scan(&got))
	}
	limit(pages + 20)
	kept := int64(0)
	var err error
	for n := 1; err == nil && n < 10_000; n++ {
		if _, err = s.Create(t.Context(), newTask(n)); err == nil {
			kept++
		}
	}
	require.Equal(t, fault.StorageFull, fault.KindOf(err), "%v", err)
	require.Equal(t, kept, total(t, s))
	limit(pages + 1000)
	_, err = s.Create(t.Context(), newTask(20_000))
	require.NoError(t, err)
	require.Equal(t, kept+1, total(t, s))
}

// While a commit hangs, callers leave in time and the queue stays bounded.
func TestHangingCommit(t *testing.T) {
	s := openStore(t)
	started, release := make(chan struct{}), make(chan struct{})
	hung := make(chan error, 1)
	go func() {
		hung <- s.queue.Do(t.Context(), func(*session, time.Time) error { close(started); <-release; return nil })
	}()
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { _, err := s.Create(ctx, newTask(1)); left <- err }()
	require.Eventually(t, func() bool { return s.queue.Len() == 1 }, time.Minute, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-left, context.Canceled)
	for s.queue.Len() < s.cfg.Queue {
		require.NoError(t, s.queue.Put(creating(t.Context(), 2)))
	}
	_, err := s.Create(t.Context(), newTask(3))
	require.Equal(t, fault.Overloaded, fault.KindOf(err))
	close(release)
	require.NoError(t, <-hung)
	require.NoError(t, s.Close())
	_, err = s.Create(t.Context(), newTask(4))
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.NoError(t, s.Close(), "a second time")
}
