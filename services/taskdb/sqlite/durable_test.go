package sqlite_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
	"imagemill/services/taskdb/taskdbtest"
)

// childPath names the file that a child process of the test writes to.
const childPath = "TASKDB_TEST_CHILD_PATH"

func real() taskdbtest.Env { return taskdbtest.Env{Config: taskdbtest.Config(), Now: time.Now} }

// TestChildWrites is the child: it creates tasks until it is killed, and says
// which ones were acknowledged.
func TestChildWrites(t *testing.T) {
	path := os.Getenv(childPath)
	if path == "" {
		t.Skip("runs as the child of TestKilled only")
	}
	s := open(t, real(), path)
	for n := 0; ; n++ {
		task, err := s.Create(t.Context(), taskdbtest.New(n))
		require.NoError(t, err)
		_, _ = fmt.Println("ACK", task.ID)
	}
}

func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tasks.db")
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestChildWrites$")
	cmd.Env = append(os.Environ(), childPath+"="+path)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var acked []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var id string
		if _, err := fmt.Sscanf(lines.Text(), "ACK %s", &id); err == nil {
			acked = append(acked, id)
		}
		if len(acked) == 300 {
			require.NoError(t, cmd.Process.Kill()) // what it still says is read on
		}
	}
	require.Error(t, cmd.Wait())
	require.GreaterOrEqual(t, len(acked), 300)
	s := open(t, real(), path)
	for _, id := range acked {
		_, err := s.Get(t.Context(), id)
		require.NoError(t, err)
	}
}

func TestReopenKeepsAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tasks.db")
	s := open(t, real(), path)
	for n := range 5 {
		_, err := s.Create(t.Context(), taskdbtest.New(n))
		require.NoError(t, err)
	}
	held, err := s.Claim(t.Context(), taskdb.Claim{Worker: "w", Max: 2})
	require.NoError(t, err)
	want, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Close())

	s = open(t, real(), path)
	got, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, err = s.Finish(t.Context(), held[0].ID, taskdb.Result{Attempt: 1})
	require.NoError(t, err, "a lease outlives a restart")
	_, err = s.Finish(t.Context(), held[1].ID, taskdb.Result{Attempt: 2})
	require.Equal(t, fault.Conflict, fault.KindOf(err))
}
