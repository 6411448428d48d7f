package process_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine/process"
)

// children are the folders that the children of a pool have, which go with them.
func children(t *testing.T, scratch string) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(scratch, "imagemill-engines-*", "*"))
	require.NoError(t, err)
	return dirs
}

func TestChildrenAreStartedAsCallsWaitForThem(t *testing.T) {
	scratch := ""
	pool, _ := newPool(t, "engine", func(c *process.Config) { c.Size, c.Rest, scratch = 4, time.Hour, c.Scratch })
	healthy(t, pool)
	assert.Len(t, children(t, scratch), 1, "one call after the other needs one child")
	j := &jobs{t: t, pool: pool, ended: make(chan error, 16)}
	j.begin(3)
	eventually(t, "three at work", func() bool { return len(j.atWork()) == 3 })
	assert.Len(t, children(t, scratch), 3)
	for _, path := range j.atWork() {
		j.end(path)
	}
	healthy(t, pool)
	assert.Len(t, children(t, scratch), 3, "no spare while nothing is replaced")
}

func TestAPoolThatRestsKeepsTheChildThatWorkedLast(t *testing.T) {
	scratch := ""
	pool, out := newPool(t, "engine", func(c *process.Config) { c.Size, c.Rest, scratch = 3, 20*time.Millisecond, c.Scratch })
	j := &jobs{t: t, pool: pool, ended: make(chan error, 16)}
	for range 2 {
		j.begin(3)
		eventually(t, "three at work", func() bool { return len(j.atWork()) == 3 })
		assert.GreaterOrEqual(t, len(children(t, scratch)), 3, "nobody is sent away while others work")
		for _, path := range j.atWork() {
			j.end(path)
		}
		pid, _ := whois(t, pool)
		eventually(t, "one is left", func() bool { return len(children(t, scratch)) == 1 })
		id, err := strconv.Atoi(pid)
		require.NoError(t, err)
		assert.True(t, alive(id), "it is the one that worked last")
	}
	assert.NotContains(t, out.String(), "died")
	healthy(t, pool)
}

func TestASpareIsKeptFromTheFirstReplacementToTheRest(t *testing.T) {
	scratch := ""
	pool, _ := newPool(t, "engine", func(c *process.Config) { c.Size, c.Rest, scratch = 1, 500*time.Millisecond, c.Scratch })
	for begun, seen := time.Now(), false; !seen; {
		require.Less(t, time.Since(begun), time.Minute, "child and spare")
		require.Error(t, do(t, pool, "exit", 0))
		// Once more, where the pool has rested before anybody looked.
		for end := time.Now().Add(2 * time.Second); !seen && time.Now().Before(end); <-time.After(2 * time.Millisecond) {
			seen = len(children(t, scratch)) == 2
		}
	}
	eventually(t, "the child alone", func() bool { return len(children(t, scratch)) == 1 })
	healthy(t, pool)
}

func TestAskTellsWhatAChildSaysOfItself(t *testing.T) {
	scratch := t.TempDir()
	cfg := process.Config{Command: []string{self(t)}, Env: []string{roleVariable + "=engine"}, Sandbox: process.SandboxOff, Scratch: scratch, Version: "1.2.3", StartTime: time.Minute}
	about, err := process.Ask(cfg)
	require.NoError(t, err)
	assert.Equal(t, "test", about.Abilities.Engine)
	assert.Equal(t, []pipeline.Format{pipeline.PNG}, about.Abilities.Out)
	cfg.Version = "1.2.4"
	_, err = process.Ask(cfg)
	assert.ErrorContains(t, err, fmt.Sprintf("%s is of version 1.2.3+test, and this program of 1.2.4: both must come from one build", self(t)))
	cfg.Env = []string{roleVariable + "=broken"}
	_, err = process.Ask(cfg)
	assert.ErrorContains(t, err, "cannot start today")
	cfg.Command = []string{filepath.Join(scratch, "none")}
	_, err = process.Ask(cfg)
	assert.ErrorContains(t, err, "none: no such file")
	cfg.Command = nil
	_, err = process.Ask(cfg)
	assert.ErrorContains(t, err, "engine command")
	left, err := os.ReadDir(scratch)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// A program that is replaced by one of another build while the pool runs is not
// let in.
func TestAChildOfAnotherVersionIsRefused(t *testing.T) {
	pool, _ := newPool(t, "engine", func(c *process.Config) { c.Version = "9.9.9" })
	eventually(t, "it is said", func() bool {
		return strings.Contains(fmt.Sprint(pool.Ready()), "is of version 1.2.3+test, and this program of 9.9.9")
	})
}

// What the engines of a killed worker left goes when the next pool starts.
func TestFoldersOfKilledPoolsAreRemoved(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no locks of folders, by which what is left could be told")
	}
	left := ""
	pool, _ := newPool(t, "engine", func(c *process.Config) {
		left = filepath.Join(c.Scratch, "imagemill-engines-1", "0")
		require.NoError(t, os.MkdirAll(left, 0o700))
	})
	healthy(t, pool)
	eventually(t, "it is gone", func() bool { _, err := os.Stat(filepath.Dir(left)); return os.IsNotExist(err) })
}
