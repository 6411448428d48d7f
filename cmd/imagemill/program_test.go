//go:build unix

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/e2e"
)

// program is a service in a process of its own.
type program struct {
	t    testing.TB
	cmd  *exec.Cmd
	log  *output
	done chan struct{}
}

// startProgram runs imagemill with arguments and settings until the test ends.
func startProgram(t testing.TB, env []string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(os.Args[0], args...), log: &output{}, done: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), programEnv+"=1"), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // how it ended is read from ProcessState
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGCONT)
		p.signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(time.Minute):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
		if t.Failed() {
			t.Logf("%v said:\n%s", args, p.log)
		}
	})
	return p
}

// signal reaches a process that may have ended.
func (p *program) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// freePorts finds addresses that stay free for this test.
func freePorts(t testing.TB, n int) []string {
	t.Helper()
	addrs := make([]string, n)
	for i := range addrs {
		addrs[i] = fmt.Sprintf("127.0.0.1:%d", e2e.FreePort(t))
	}
	return addrs
}

// awaitReady waits until the service at the address has all that it needs.
func awaitReady(t testing.TB, addr string) {
	t.Helper()
	require.Eventually(t, func() bool { return isReady(t, addr) }, 3*time.Minute, 10*time.Millisecond, "%s is not ready", addr)
}

// isReady asks a service whether it is.
func isReady(t testing.TB, addr string) bool {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Second}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, fmt.Sprintf("http://%s/readyz", addr), nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
