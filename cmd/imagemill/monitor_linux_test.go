package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// slackOf reads by how much the first thread of a process may be late, and the
// others, as they are started by it.
func slackOf(t *testing.T, pid int) string {
	t.Helper()
	slack, err := os.ReadFile(fmt.Sprintf("/proc/%d/timerslack_ns", pid))
	if err != nil {
		t.Skipf("this kernel does not tell a process's timer slack: %v", err)
	}
	return strings.TrimSpace(string(slack))
}

func TestTheMonitorOfServicesIsCalm(t *testing.T) {
	own := slackOf(t, os.Getpid())
	require.NotEqual(t, fmt.Sprint(monitorSlack), own)
	for _, service := range []string{"imagemaster", "storage", "kvstore"} {
		env := []string{"IMAGEMILL_DISCOVERY=static://storage=http://127.0.0.1:1", "IMAGEMILL_NATS=none", "IMAGEMILL_LINGER=0s"}
		args := append([]string{service, "--listen", anyPort}, folderFlag(t, service)...)
		p := startProgram(t, env, args...)
		require.Eventually(t, func() bool { return strings.Contains(p.log.String(), "serving") }, time.Minute, 10*time.Millisecond, "%s", service)
		want := own
		if service == "imagemaster" {
			want = fmt.Sprint(monitorSlack)
		}
		require.Equal(t, want, slackOf(t, p.cmd.Process.Pid), service)
	}
}
