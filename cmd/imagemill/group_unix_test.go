//go:build !windows

package main

import (
	"os/exec"
	"syscall"
	"testing"
)

// ownGroup puts a command and its children into a process group of their own.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// stopGroup signals the whole group and waits for its leader.
func stopGroup(t *testing.T, cmd *exec.Cmd, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(-cmd.Process.Pid, sig); err != nil {
		t.Errorf("stop: %v", err)
	}
	_ = cmd.Wait() // "go run" reports the signal as a failure
}
