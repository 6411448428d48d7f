package process

import "syscall"

// attributes keeps a terminal's Ctrl-C away from the children, whose parent
// ends them in order. When the parent dies, their stdin ends.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
