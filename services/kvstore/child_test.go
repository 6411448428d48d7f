package kvstore

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// childEnv tells the test binary to be a node: it holds what a childConfig says.
const childEnv = "IMAGEMILL_KVSTORE_TEST_CHILD"

// childConfig is what a child process is started with.
type childConfig struct {
	Config Config
	Owner  map[string]string // port → node
}

// runChild is a node in a process of its own. It ends with its standard input,
// whose lines cut and mend its network.
func runChild(text string) int {
	var in childConfig
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	w := newWall()
	w.owner = in.Owner
	s, err := New(in.Config, Deps{Log: slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("node", in.Config.NodeName), Version: "test"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if s.node.cluster != nil {
		s.node.cluster.wires = w.wires(in.Config.NodeName)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			if line := lines.Text(); line == "heal" {
				w.heal()
			} else {
				var groups [][]string
				for g := range strings.SplitSeq(line, "|") {
					groups = append(groups, strings.Split(g, ","))
				}
				w.split(groups...)
			}
		}
		stop()
	}()
	if err := s.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// child is a node in a process of its own.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	log   *os.File
	ended chan struct{}
}

// spawn starts node i of a fleet as a process. Its log goes to a file, which is
// shown when the test has failed.
func (f *fleet) spawn(i int) *child {
	f.t.Helper()
	f.wall.mu.Lock()
	text, err := json.Marshal(childConfig{Config: f.config(i), Owner: f.wall.owner})
	f.wall.mu.Unlock()
	require.NoError(f.t, err)
	exe, err := os.Executable()
	require.NoError(f.t, err)
	log, err := os.OpenFile(filepath.Join(f.dir, nodeName(i)+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(f.t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	cmd.Stderr, cmd.Stdout = log, log
	stdin, err := cmd.StdinPipe()
	require.NoError(f.t, err)
	require.NoError(f.t, cmd.Start())
	c := &child{cmd: cmd, stdin: stdin, log: log, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		_ = cmd.Wait()
		_ = log.Close()
	}()
	return c
}

// kill ends the process as a power cut would.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.ended
}

func (c *child) signal(t testing.TB, s os.Signal) {
	t.Helper()
	require.NoError(t, c.cmd.Process.Signal(s))
}

// network cuts ("n0|n1,n2") or mends ("heal") this process's network. A process
// that is gone has none.
func (c *child) network(line string) { _, _ = fmt.Fprintln(c.stdin, line) }

// showLogs prints the end of every child's log when the test has failed.
func (f *fleet) showLogs() {
	if !f.t.Failed() {
		return
	}
	for i := range f.size {
		b, err := os.ReadFile(filepath.Join(f.dir, nodeName(i)+".log"))
		if err == nil {
			f.t.Logf("log of %s:\n%s", nodeName(i), b[max(0, len(b)-6000):])
		}
	}
}
