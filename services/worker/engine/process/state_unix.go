//go:build unix

package process

import (
	"os"
	"syscall"
)

// forbidden reports whether a process ended by the sandbox's filter.
func forbidden(s *os.ProcessState) bool { return signal(s) == syscall.SIGSYS }

// shot reports whether a process was killed, by whomever.
func shot(s *os.ProcessState) bool { return signal(s) == syscall.SIGKILL }

func signal(s *os.ProcessState) syscall.Signal {
	status, ok := s.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return 0
	}
	return status.Signal()
}
