//go:build unix && !linux

package process

import "syscall"

// attributes keeps a terminal's Ctrl-C away from the children, whose parent
// ends them in order. When the parent dies, their stdin ends.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
