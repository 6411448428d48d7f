package process

import "syscall"

// attributes keeps a terminal's Ctrl-C away from the children, whose parent
// ends them in order, and kills them when the parent dies without a word.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
