//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where struct seccomp_data has what; the lower half of an argument comes first
// on both architectures.
const (
	offsetCall     = 0
	offsetArch     = 4
	offsetArgument = 16
)

// firstModern is the lowest number of the calls that came after all
// architectures agreed on numbers. C libraries try those and go by ENOSYS.
const firstModern = 424

// What becomes of a call.
const (
	allow = unix.SECCOMP_RET_ALLOW
	end   = unix.SECCOMP_RET_KILL_PROCESS
	deny  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	none  = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

// loadFilter puts the filter in force in all threads. It needs no_new_privs in
// the calling one; the others are given it with the filter.
func loadFilter() error {
	program := filter(os.Getpid())
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]} //nolint:gosec // some two hundred instructions
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog))) //nolint:gosec // the kernel reads it during the call
	switch {
	case errno != 0:
		return fmt.Errorf("not in this kernel, or not allowed here: %w", errno)
	case thread != 0:
		return fmt.Errorf("thread %d cannot be filtered", thread)
	}
	return nil
}

// filter is the program that the kernel runs before every system call. self is
// the process' own ID: signals to itself are how Go and abort work.
func filter(self int) []unix.SockFilter {
	var p program
	p.load(offsetArch)
	p.unless(unix.BPF_JEQ, arch, end)
	p.load(offsetCall)
	p.when(unix.BPF_JGE, foreignCalls, end)
	for _, nr := range allowed() {
		p.when(unix.BPF_JEQ, nr, allow)
	}
	for _, nr := range neverDone() {
		p.when(unix.BPF_JEQ, nr, end)
	}
	p.argument(unix.SYS_CLONE, 0, end, test{unix.BPF_JSET, unix.CLONE_THREAD})
	p.argument(unix.SYS_TGKILL, 0, end, test{unix.BPF_JEQ, uint32(self)}) //nolint:gosec // an ID is positive
	p.argument(unix.SYS_KILL, 0, end, test{unix.BPF_JEQ, uint32(self)})   //nolint:gosec // an ID is positive
	p.argument(unix.SYS_PRCTL, 0, deny, test{unix.BPF_JEQ, unix.PR_SET_NAME}, test{unix.BPF_JEQ, unix.PR_SET_VMA})
	// Only its own limits, and to be read: the new ones' address is null.
	p.argument(unix.SYS_PRLIMIT64, 2, deny, test{unix.BPF_JEQ, 0})
	p.when(unix.BPF_JGE, firstModern, none)
	return append(p, ret(deny))
}

// program is a filter in the making. Each call is a test that ends it, so that
// all jumps are short; kernels since 5.11 remember what is always allowed.
type program []unix.SockFilter

// test compares the accumulator.
type test struct {
	op uint16
	k  uint32
}

func (t test) jump(yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | t.op, Jt: yes, Jf: no, K: t.k}
}

func ret(action uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
}

func (p *program) load(offset uint32) {
	*p = append(*p, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset})
}

func (p *program) when(op uint16, k, action uint32) {
	*p = append(*p, test{op, k}.jump(0, 1), ret(action))
}

func (p *program) unless(op uint16, k, action uint32) {
	*p = append(*p, test{op, k}.jump(1, 0), ret(action))
}

// argument allows a call whose argument passes one of the tests; else it meets
// the action. Only the lower half is looked at: all of these are ints, but for
// an address, whose upper half is looked at too.
func (p *program) argument(call, n, action uint32, tests ...test) {
	var body program
	if call == unix.SYS_PRLIMIT64 {
		body.load(offsetArgument + 8*n + 4)
		body.unless(unix.BPF_JEQ, 0, action)
	}
	body.load(offsetArgument + 8*n)
	for _, t := range tests {
		body.when(t.op, t.k, allow)
	}
	body = append(body, ret(action))
	*p = append(*p, test{unix.BPF_JEQ, call}.jump(0, uint8(len(body)))) //nolint:gosec // a few instructions
	*p = append(*p, body...)
}
