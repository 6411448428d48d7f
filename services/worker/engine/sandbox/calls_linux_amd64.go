package sandbox

import "golang.org/x/sys/unix"

// arch is what the kernel calls this architecture; foreignCalls is where the
// numbers of its other way to call (x32) begin.
const (
	arch         = unix.AUDIT_ARCH_X86_64
	foreignCalls = 0x40000000
)

// allowedHere are calls that newer architectures have under other names only.
func allowedHere() []uint32 {
	return []uint32{
		unix.SYS_EPOLL_WAIT, unix.SYS_POLL, unix.SYS_SELECT, unix.SYS_OPEN, unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_ACCESS,
		unix.SYS_PIPE, unix.SYS_DUP2, unix.SYS_TIME, unix.SYS_GETRLIMIT, unix.SYS_ARCH_PRCTL,
	}
}

func neverDoneHere() []uint32 {
	return []uint32{unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT}
}
