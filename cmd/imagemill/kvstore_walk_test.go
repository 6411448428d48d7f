//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// elsewhere replaces the ports of a walk by free ones, the same for the same.
func elsewhere(t *testing.T, ports map[string]string, text string) string {
	t.Helper()
	return regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllStringFunc(text, func(address string) string {
		if ports[address] == "" {
			ports[address] = freePorts(t, 1)[0]
		}
		return ports[address]
	})
}

// TestThreeNodesWalk runs the three commands of docs/operations.md as they stand
// there, but for the ports, and what is to be tried then; kills the leader, and
// tries again.
func TestThreeNodesWalk(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the program once more; make e2e runs it")
	}
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("IMAGEMILL_CI") == "1" {
				t.Fatalf("%s is needed", tool)
			}
			t.Skipf("%s is not here, and the walk is written for it", tool)
		}
	}
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	docs, err := os.ReadFile(filepath.Join(root, "docs", "operations.md"))
	require.NoError(t, err)
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "imagemill"), "./cmd/imagemill")
	build.Dir = root
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)

	ports := map[string]string{}
	env := append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	var nodes []*exec.Cmd
	for line := range strings.Lines(strings.TrimSpace(walk(t, string(docs), "three nodes"))) {
		out := &output{}
		// What is left at its default in the first command has to move as well.
		for flag, address := range map[string]string{"--listen": "127.0.0.1:8500", "--gossip-listen": "127.0.0.1:8301", "--raft-listen": "127.0.0.1:8300"} {
			if !strings.Contains(line, flag+" ") {
				line = strings.TrimSpace(line) + " " + flag + " " + address
			}
		}
		cmd := exec.Command("bash", "-c", "exec "+elsewhere(t, ports, line))
		cmd.Dir, cmd.Env, cmd.SysProcAttr, cmd.Stdout, cmd.Stderr = dir, env, ownGroup(), out, out
		require.NoError(t, cmd.Start())
		nodes = append(nodes, cmd)
		t.Cleanup(func() {
			stopGroup(t, cmd, syscall.SIGTERM)
			if t.Failed() {
				t.Logf("it said:\n%s", out)
			}
		})
	}
	require.Len(t, nodes, 3)
	apis := []string{"127.0.0.1:8500", "127.0.0.1:8510", "127.0.0.1:8520"}
	for _, api := range apis {
		require.Eventually(t, func() bool { return isReady(t, ports[api]) }, 3*time.Minute, 50*time.Millisecond, "%s is not ready", api)
	}
	try := func() (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "bash", "-euc", elsewhere(t, ports, walk(t, string(docs), "three nodes tried")))
		cmd.Env = env
		said, err := cmd.CombinedOutput()
		return string(said), err
	}
	// A busy machine may cost a leader its place at any time.
	var told string
	require.Eventually(t, func() bool { told, err = try(); return err == nil }, 3*time.Minute, 100*time.Millisecond, "nobody leads")
	leader := strings.TrimPrefix(told, "truehello")
	kill := -1
	for i, raft := range []string{"127.0.0.1:8300", "127.0.0.1:8310", "127.0.0.1:8320"} {
		if leader == fmt.Sprintf("%q", ports[raft]) {
			kill = i
		}
	}
	require.GreaterOrEqual(t, kill, 0, "the leader is one of the three, not %s", leader)
	require.NoError(t, nodes[kill].Process.Kill())
	gone := ports[apis[kill]]
	ports[apis[kill]] = ports[apis[(kill+1)%3]] // whoever asked it asks another
	// What the leader had in hand when it died ends as an error, as nobody knows
	// whether it was done.
	require.Eventually(t, func() bool { told, err = try(); return err == nil }, 3*time.Minute, 100*time.Millisecond, "nobody leads")
	require.NotEqual(t, leader, strings.TrimPrefix(told, "truehello"), "asked instead of %s", gone)
}
