package consultest

import (
	"os/exec"
	"syscall"
)

// tie lets the agent end with the test's process, however that ends: a test that
// panics runs no cleanup.
func tie(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
