package sqlite

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/services/taskdb"
)

// promise is what was acknowledged of a task at a moment of the record.
type promise struct {
	id    string
	state taskdb.State
	at    int
}

// promises are made by several clients.
type promises struct {
	mu  sync.Mutex
	vfs *cutVFS
	all []promise
}

func (p *promises) made(id string, state taskdb.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, promise{id, state, p.vfs.mark()})
}

// live takes tasks through their lives from four clients.
func (p *promises) live(t *testing.T, s *Store, from, to int) {
	t.Helper()
	var clients sync.WaitGroup
	for c := range 4 {
		clients.Go(func() {
			for n := from + c; n < to; n += 4 {
				task, err := s.Create(t.Context(), newTask(n))
				if err != nil {
					t.Error(err)
					return
				}
				p.made(task.ID, taskdb.NotStarted)
				got, err := s.Claim(t.Context(), taskdb.Claim{Worker: fmt.Sprint("w", c), Max: 1})
				if err != nil || len(got) == 0 || n%3 == 0 {
					continue
				}
				p.made(got[0].ID, taskdb.InProgress)
				done, err := s.Finish(t.Context(), got[0].ID, taskdb.Result{Attempt: got[0].Attempt})
				if err != nil {
					t.Error(err)
					return
				}
				p.made(done.ID, taskdb.Finished)
			}
		})
	}
	clients.Wait()
}

// rank orders states as tasks go through them here.
func rank(s taskdb.State) int {
	return map[taskdb.State]int{taskdb.NotStarted: 0, taskdb.InProgress: 1, taskdb.Finished: 2}[s]
}

// kept opens what a power cut at moment n has left, and has all that was
// promised by then.
func (p *promises) kept(t *testing.T, dir string, files map[string][]byte, n int) error {
	t.Helper()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	cfg := taskdb.DefaultConfig()
	cfg.Path = filepath.Join(dir, "tasks.db")
	s, err := Open(t.Context(), cfg, Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("it does not open: %w", err)
	}
	defer func() { require.NoError(t, s.Close()) }()
	var sound string
	if err := s.reader.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&sound); err != nil || sound != "ok" {
		return fmt.Errorf("integrity: %s %w", sound, err)
	}
	stats, err := s.Stats(t.Context())
	if err != nil {
		return err
	}
	for _, state := range []taskdb.State{taskdb.NotStarted, taskdb.InProgress, taskdb.Finished} {
		page, err := s.List(t.Context(), state, "", taskdb.MaxPage)
		if err != nil || int64(len(page.Tasks)) != stats.States[state] {
			return fmt.Errorf("%d tasks are %s, %d are counted: %w", len(page.Tasks), state, stats.States[state], err)
		}
	}
	for _, pr := range p.all {
		if pr.at > n {
			continue
		}
		got, err := s.Get(t.Context(), pr.id)
		if err != nil || rank(got.State) < rank(pr.state) {
			return fmt.Errorf("task %s was %s, is %q: %w", pr.id, pr.state, got.State, err)
		}
	}
	return nil
}

// cuts runs a workload under the recorder and then tries what power cuts leave:
// per moment everything that was written, nothing that was not synced, a part in
// order with the next write torn, and at random.
func cuts(t *testing.T, rng *rand.Rand, states int, omit func(path string) bool) error {
	t.Helper()
	vfs := newCutVFS(t)
	vfs.omit = omit
	p := &promises{vfs: vfs}
	cfg := taskdb.DefaultConfig()
	cfg.Path = filepath.Join(t.TempDir(), "tasks.db")
	for life := range 2 { // the second begins with a log that was taken away
		s, err := Open(t.Context(), cfg, Deps{Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		exec(t, s, "PRAGMA wal_autocheckpoint=40") // so that checkpoints are among what is cut
		p.live(t, s, 1+life*24, 25+life*24)
		require.NoError(t, s.Close())
	}
	vfs.stop(t)
	end := vfs.length()
	for i := range states {
		n, lasting, choose := rng.IntN(end+1), 0, func(n int) int { return rng.IntN(n) }
		switch i % 4 {
		case 0: // all of it
			lasting, choose = end, func(int) int { return 0 }
		case 1: // nothing that was not synced
			choose = func(n int) int { return min(1, n-1) }
		case 2: // in order
			lasting, choose = rng.IntN(4), func(int) int { return 1 }
		}
		dir := t.TempDir()
		if err := p.kept(t, dir, vfs.files(n, lasting, choose), n); err != nil {
			return fmt.Errorf("cut %d, at %d of %d: %w", i, n, end, err)
		}
		require.NoError(t, os.RemoveAll(dir))
	}
	return nil
}

// Whatever a power cut leaves of the database and its log: it opens, it is sound,
// it counts what it holds, and all that was acknowledged is in it.
// IMAGEMILL_POWERCUT_STATES says how many states are tried; IMAGEMILL_POWERCUT_SEED
// repeats what is left, though not how the scheduler mixed the clients.
func TestPowerCut(t *testing.T) {
	seed, states := uint64(time.Now().UnixNano()), uint64(100)
	if testing.Short() {
		states = 30
	}
	for name, into := range map[string]*uint64{"SEED": &seed, "STATES": &states} {
		if v := os.Getenv("IMAGEMILL_POWERCUT_" + name); v != "" {
			var err error
			*into, err = strconv.ParseUint(v, 10, 64)
			require.NoError(t, err)
		}
	}
	t.Logf("IMAGEMILL_POWERCUT_SEED=%d", seed)
	require.NoError(t, cuts(t, rand.New(rand.NewPCG(seed, 5)), int(states), nil), "seed %d", seed)
}

// Without the syncs of the log, or of the database at a checkpoint, it is seen.
func TestPowerCutSeesAMissingSync(t *testing.T) {
	for name, suffix := range map[string]string{"of the log": "-wal", "of the database": ".db"} {
		t.Run(name, func(t *testing.T) {
			err := cuts(t, rand.New(rand.NewPCG(1, 5)), 200, func(path string) bool { return strings.HasSuffix(path, suffix) })
			require.Error(t, err)
			t.Log(err)
		})
	}
}
