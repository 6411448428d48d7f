package taskdb_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/services/taskdb"
	"imagemill/services/taskdb/taskdbtest"
)

func TestConfigNamesTheSetting(t *testing.T) {
	require.NoError(t, taskdb.DefaultConfig().Validate())
	for name, spoil := range map[string]func(*taskdb.Config){
		"PATH":        func(c *taskdb.Config) { c.Path = "" },
		"DATABASE":    func(c *taskdb.Config) { c.Database = "mysql://imagemill:hunter2@db/tasks" },
		"LEASE":       func(c *taskdb.Config) { c.Lease = 0 },
		"MAX_TRIES":   func(c *taskdb.Config) { c.MaxTries = 0 },
		"MAX_DEATHS":  func(c *taskdb.Config) { c.MaxDeaths = 101 },
		"BACKOFF_MIN": func(c *taskdb.Config) { c.BackoffMin = -1 },
		"BACKOFF_MAX": func(c *taskdb.Config) { c.BackoffMax = 0 },
		"QUEUE":       func(c *taskdb.Config) { c.Queue = 0 },
		"TIMEOUT":     func(c *taskdb.Config) { c.Timeout = 0 },
		"LISTEN":      func(c *taskdb.Config) { c.Serve.Listen = "nowhere" },
	} {
		cfg := taskdb.DefaultConfig()
		spoil(&cfg)
		require.ErrorContains(t, cfg.Validate(), name)
		_, err := taskdb.New(cfg, taskdb.Deps{})
		require.ErrorContains(t, err, name)
	}
}

func TestAnAddressOfADatabaseIsNotShown(t *testing.T) {
	cfg := taskdb.DefaultConfig()
	for _, good := range []string{"", "postgres://u:p@h/d", "postgresql://h1:1,h2:2/d?target_session_attrs=any", "postgres:///d?host=/run/postgresql"} {
		cfg.Database = good
		require.NoError(t, cfg.Validate(), good)
	}
	for _, bad := range []string{"mysql://u:hunter2@h/d", "postgres://u:hunter2%zz@h/d", "postgres:hunter2", "host=h password=hunter2", "postgres:///d"} {
		cfg.Database = bad
		require.ErrorContains(t, cfg.Validate(), "DATABASE: ")
		require.NotContains(t, cfg.Validate().Error(), "hunter2")
	}
}

func TestBackoffGrowsAndStaysBounded(t *testing.T) {
	cfg := taskdb.DefaultConfig()
	seen := map[time.Duration]bool{}
	for n := range 100 {
		for tries, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 99: time.Minute} {
			d := cfg.Backoff(taskdbtest.ID(n), tries)
			require.GreaterOrEqual(t, d, want/2)
			require.LessOrEqual(t, d, want)
			seen[d] = true
		}
	}
	require.Greater(t, len(seen), 350, "tasks that failed together spread out")
	cfg.BackoffMin, cfg.BackoffMax = 0, 0
	require.Zero(t, cfg.Backoff("x", 1))
}

func TestMovesKnowEveryState(t *testing.T) {
	for _, from := range taskdb.States() {
		require.False(t, taskdb.CanMove(from, from))
		for _, to := range taskdb.Moves(from) {
			require.Contains(t, taskdb.States(), to)
		}
	}
	require.Empty(t, taskdb.Moves(taskdb.Finished))
}
