//go:build unix

package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/postgres"
	"imagemill/services/taskdb/postgres/postgrestest"
	"imagemill/services/taskdb/taskdbtest"
)

// books is what callers were told.
type books struct {
	mu       sync.Mutex
	accepted map[string]bool
	held     map[string]map[int]string // task, attempt: the worker that was given it
	finished map[string]int            // the attempt that was told it had finished
}

func (k *books) note(change func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change()
}

// works creates, claims and finishes until ctx is done, and keeps the books. Who is
// told that a write may not have happened says it again, or leaves it.
func (k *books) works(ctx context.Context, t *testing.T, s taskdb.Store, worker string, next *atomic.Uint64) {
	call := context.WithoutCancel(ctx)
	for ctx.Err() == nil {
		n := taskdbtest.Fresh(next.Add(1))
		if _, err := s.Create(call, n); err == nil {
			k.note(func() { k.accepted[n.ID] = true })
		} else {
			assert.True(t, fault.Retryable(err) && !fault.Is(err, fault.Internal), "%v", err)
		}
		tasks, _ := s.Claim(call, taskdb.Claim{Worker: worker, Max: 2})
		for _, task := range tasks {
			k.note(func() {
				if k.held[task.ID] == nil {
					k.held[task.ID] = map[int]string{}
				}
				assert.Empty(t, k.held[task.ID][task.Attempt], "two hold attempt %d of %s", task.Attempt, task.ID)
				k.held[task.ID][task.Attempt] = worker
			})
			_, err := s.Finish(call, task.ID, taskdb.Result{Attempt: task.Attempt})
			for ; fault.Is(err, fault.Unavailable) && ctx.Err() == nil; _, err = s.Finish(call, task.ID, taskdb.Result{Attempt: task.Attempt}) {
			}
			if err == nil {
				k.note(func() {
					assert.Zero(t, k.finished[task.ID], "finished twice")
					k.finished[task.ID] = task.Attempt
				})
			}
		}
	}
}

// The server is killed during load, several times: no accepted task is lost, none
// is finished twice, and no attempt is held by two.
func TestTheServerIsKilled(t *testing.T) {
	pg := postgrestest.StartInMemory(t)
	database := pg.Database(t)
	env := real()
	env.Config.Lease = 300 * time.Millisecond
	env.Config.MaxTries, env.Config.MaxDeaths = 100, 100
	stores := []*postgres.Store{open(t, env, database), open(t, env, database)}
	k := &books{accepted: map[string]bool{}, held: map[string]map[int]string{}, finished: map[string]int{}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	var next atomic.Uint64
	for i := range 12 {
		all.Go(func() { k.works(ctx, t, stores[i%2], strings.Repeat("w", i+1), &next) })
	}
	for round := range 3 {
		before := next.Load()
		require.Eventually(t, func() bool { return next.Load() > before+200 }, time.Minute, time.Millisecond)
		if round == 2 {
			require.NoError(t, pg.Restart())
			continue
		}
		pg.Kill()
		require.NoError(t, pg.Launch())
	}
	before := next.Load()
	require.Eventually(t, func() bool { return next.Load() > before+200 }, time.Minute, time.Millisecond)
	cancel()
	all.Wait()

	s := stores[0]
	require.Eventually(t, func() bool { return len(s.Missing()) == 0 }, time.Minute, time.Millisecond)
	lost := 0
	for id := range k.accepted {
		task, err := s.Get(t.Context(), id)
		if !assert.NoError(t, err, "accepted, and lost") {
			lost++
		} else if at := k.finished[id]; at != 0 {
			assert.Equal(t, taskdb.Finished, task.State)
			assert.Equal(t, at, task.Result.Attempt)
		}
	}
	// What is left over ends by itself.
	require.Eventually(t, func() bool {
		_, err := s.Expire(t.Context())
		assert.NoError(t, err)
		tasks, err := s.Claim(t.Context(), taskdb.Claim{Worker: "last", Max: taskdb.MaxClaim})
		assert.NoError(t, err)
		for _, task := range tasks {
			_, err := s.Finish(t.Context(), task.ID, taskdb.Result{Attempt: task.Attempt})
			assert.NoError(t, err)
		}
		st, err := s.Stats(t.Context())
		assert.NoError(t, err)
		return st.States[taskdb.NotStarted]+st.States[taskdb.InProgress] == 0
	}, time.Minute, 10*time.Millisecond)
	st, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, st.States[taskdb.Finished], int64(len(k.accepted)))
	t.Logf("%d accepted, %d lost, %d finished", len(k.accepted), lost, st.States[taskdb.Finished])
}

// A server that is stopped and answers nobody costs calls their time, no more; it is
// named meanwhile, and goes on where it was.
func TestTheServerHangs(t *testing.T) {
	pg := postgrestest.Start(t)
	env := real()
	env.Config.Timeout = 700 * time.Millisecond
	s := open(t, env, pg.Database(t))
	created := func(n int) func() bool { // also where the machine is slower than a call may be
		return func() bool { _, err := s.Create(t.Context(), taskdbtest.New(n)); return err == nil }
	}
	require.Eventually(t, created(1), time.Minute, time.Millisecond)
	require.Eventually(t, func() bool { _, err := s.Get(t.Context(), taskdbtest.ID(1)); return err == nil }, time.Minute, time.Millisecond)
	pg.Freeze()
	begun := time.Now()
	_, err := s.Create(t.Context(), taskdbtest.New(2))
	assert.Equal(t, fault.Unavailable, fault.KindOf(err), "%v", err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = s.Create(ctx, taskdbtest.New(3))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = s.Get(t.Context(), taskdbtest.ID(1))
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(begun), time.Minute) // 5 s on a machine that has time
	assert.NotEmpty(t, s.Missing())
	pg.Thaw()
	ready(t, s)
	require.Eventually(t, created(2), time.Minute, time.Millisecond, "a repeat is safe")
}

// The database may come later than the service.
func TestTheServerComesLater(t *testing.T) {
	pg := postgrestest.Start(t)
	cfg := taskdbtest.Config()
	cfg.Database = pg.Database(t)
	pg.Kill()
	var log bytes.Buffer
	s, err := postgres.Open(t.Context(), cfg, postgres.Deps{Log: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	_, err = s.Create(t.Context(), taskdbtest.New(1))
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	_, err = s.Stats(t.Context())
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.Len(t, s.Missing(), 1)
	require.Contains(t, s.Missing()[0], "IMAGEMILL_TASKDB_DATABASE")
	require.Contains(t, s.Missing()[0], "127.0.0.1")
	require.NoError(t, pg.Launch())
	require.Eventually(t, func() bool { return len(s.Missing()) == 0 }, time.Minute, time.Millisecond)
	_, err = s.Create(t.Context(), taskdbtest.New(1))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NotContains(t, log.String(), "unused", "the password")
}

// A server that would lose tasks is refused in words; one that might is warned of.
func TestWhatIsNotDurableIsRefused(t *testing.T) {
	pg := postgrestest.Start(t, "fsync=off")
	cfg := taskdbtest.Config()
	cfg.Database = pg.Database(t)
	var err error
	require.Eventually(t, func() bool { // a server that took too long for it is asked again
		var s *postgres.Store
		if s, err = postgres.Open(t.Context(), cfg, postgres.Deps{Log: quiet()}); err == nil {
			_ = s.Close()
		}
		return err != nil
	}, time.Minute, time.Millisecond)
	for _, part := range []string{"IMAGEMILL_TASKDB_DATABASE", "fsync=off", "set fsync=on"} {
		require.ErrorContains(t, err, part)
	}
	require.NotContains(t, err.Error(), "unused", "the password")

	pg = postgrestest.Start(t, "synchronous_commit=off", "full_page_writes=off")
	cfg.Database = pg.Socket("postgres")
	var log bytes.Buffer
	s, err := postgres.Open(t.Context(), cfg, postgres.Deps{Log: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err, "each connection sets it for itself")
	ready(t, s)
	require.NoError(t, s.Close())
	require.Equal(t, 1, strings.Count(log.String(), "full_page_writes=off"), log.String())

	pg.Exec(t, "CREATE DATABASE standby", "ALTER DATABASE standby SET default_transaction_read_only = on")
	cfg.Database = pg.URL("standby") + "&target_session_attrs=any"
	s, err = postgres.Open(t.Context(), cfg, postgres.Deps{Log: quiet()})
	require.NoError(t, err, "a standby may be made the primary")
	defer func() { require.NoError(t, s.Close()) }()
	require.Eventually(t, func() bool {
		missing := s.Missing()
		return len(missing) == 1 && strings.Contains(missing[0], "takes no writes")
	}, time.Minute, time.Millisecond, "%v", s.Missing())
	pg.Exec(t, "ALTER DATABASE standby SET default_transaction_read_only = off")
	require.Eventually(t, func() bool { return len(s.Missing()) == 0 }, time.Minute, time.Millisecond)
}

// Many processes that start at the same moment make the tables once, and share them.
func TestManyStartAtOnce(t *testing.T) {
	database := server.Database(t)
	var all sync.WaitGroup
	for n := range 6 {
		all.Go(func() {
			s := open(t, real(), database)
			_, err := s.Create(t.Context(), taskdbtest.New(n))
			assert.NoError(t, err)
		})
	}
	all.Wait()
	st, err := open(t, real(), database).Stats(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 6, st.States[taskdb.NotStarted])
}

// Two processes race for the same tasks, and one knows the silent workers of the
// other.
func TestTwoStoresShareOneDatabase(t *testing.T) {
	database := server.Database(t)
	clock := taskdbtest.NewClock()
	env := taskdbtest.Env{Config: taskdbtest.Config(), Now: clock.Now}
	stores := []*postgres.Store{open(t, env, database), open(t, env, database)}
	const tasks = 300
	for n := range tasks {
		_, err := stores[n%2].Create(t.Context(), taskdbtest.New(n))
		require.NoError(t, err)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	seen := map[string]int{}
	for i := range 16 {
		all.Go(func() {
			for {
				got, err := stores[i%2].Claim(t.Context(), taskdb.Claim{Worker: "w", Max: 1 + i%3})
				if !assert.NoError(t, err) {
					return
				}
				mu.Lock()
				for _, task := range got {
					seen[task.ID]++
				}
				done := len(seen) == tasks
				mu.Unlock()
				if done {
					return
				}
			}
		})
	}
	all.Wait()
	for id, n := range seen {
		require.Equal(t, 1, n, id)
	}
	clock.Advance(env.Config.Lease)
	e, err := stores[0].Expire(t.Context())
	require.NoError(t, err)
	require.Len(t, e.Tasks, tasks)
	clock.Advance(time.Second)
	_, err = stores[1].Claim(t.Context(), taskdb.Claim{Worker: "w", Max: 1, WaitedMillis: 1001})
	require.Equal(t, fault.Conflict, fault.KindOf(err), "a call from before the silence")
}

// Sixteen workers quarrel while a store is closed and opened, and its server killed.
func TestLinearizable(t *testing.T) {
	pg := postgrestest.StartInMemory(t)
	env := taskdbtest.Env{Config: taskdbtest.LinearConfig()}
	database := pg.Database(t)
	other := open(t, env, database) // which stays
	var store atomic.Pointer[postgres.Store]
	store.Store(open(t, env, database))
	var turn atomic.Int64
	troubles := 0
	q := taskdbtest.Quarrel{
		Store: func() taskdb.Store {
			if turn.Add(1)%2 == 0 {
				return other
			}
			return store.Load()
		},
		Calls: 6000, Troubles: 3,
		Trouble: func() {
			<-time.After(300 * time.Millisecond)
			if troubles++; troubles%3 == 0 {
				pg.Kill()
				require.NoError(t, pg.Launch())
				return
			}
			require.NoError(t, store.Load().Close())
			store.Store(open(t, env, database))
		},
	}
	require.Equal(t, porcupine.Ok, q.Run(t))
}

func TestACallerThatHasLeftIsToldSo(t *testing.T) {
	s := open(t, real())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	id := taskdbtest.ID(1)
	for name, call := range map[string]func() error{
		"get":   func() error { _, err := s.Get(ctx, id); return err },
		"list":  func() error { _, err := s.List(ctx, taskdb.NotStarted, "", 0); return err },
		"stats": func() error { _, err := s.Stats(ctx); return err }, "expire": func() error { _, err := s.Expire(ctx); return err },
		"cancel": func() error { _, err := s.Cancel(ctx, id); return err },
	} {
		require.True(t, errors.Is(call(), context.Canceled), name)
	}
}
