package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/e2e"
)

// walk finds the commands of the README between the two comments that mark
// them, word for word.
func walk(t *testing.T, readme, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?s)<!-- walk: ` + name + " -->\n+```sh\n(.*?)```").FindStringSubmatch(readme)
	require.NotNil(t, m, "the README has no walk %q", name)
	return m[1]
}

// TestREADMEWalk runs the README's commands as they stand there, in a copy of
// nothing but a new folder for the results, and checks the picture.
func TestREADMEWalk(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the program once more; make e2e runs it")
	}
	for _, tool := range []string{"bash", "curl", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("IMAGEMILL_CI") == "1" {
				t.Fatalf("%s is needed", tool)
			}
			t.Skipf("%s is not here, and the walk is written for it", tool)
		}
	}
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)

	// "go run" in a process group of its own, so that all of it can be stopped.
	up := exec.Command("bash", "-c", strings.TrimSpace(walk(t, string(readme), "up"))+` --data "$DATA"`)
	up.Dir, up.Env = root, append(os.Environ(), "DATA="+t.TempDir())
	up.SysProcAttr = ownGroup()
	out := &output{}
	up.Stdout, up.Stderr = out, out
	require.NoError(t, up.Start())
	t.Cleanup(func() {
		stopGroup(t, up, syscall.SIGTERM)
		if t.Failed() {
			t.Logf("up said:\n%s", out)
		}
	})
	require.Eventually(t, func() bool { return strings.Contains(out.String(), " is up.") },
		5*time.Minute, 50*time.Millisecond, "up did not greet")

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	results := t.TempDir()
	cmd := exec.CommandContext(ctx, "bash", "-euc", walk(t, string(readme), "first picture"))
	cmd.Dir, cmd.Env = root, append(os.Environ(), "TMPDIR="+results)
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", said)
	result, err := os.ReadFile(filepath.Join(results, "first.jpg"))
	require.NoError(t, err, "%s", said)
	e2e.CheckSwapped(t, e2e.Photograph(t, "branches.jpg"), result)
}
