package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// monitorSlack is by how many nanoseconds the kernel may be late with a pause, so
// that it wakes threads together.
const monitorSlack = 400_000

// calmMonitor makes Go's monitor, the thread that each program in Go has, look
// less often. From each moment at which a process has something to do, it looks
// every 20 µs; a suite of several processes, which for one picture wake each other
// some twenty times, spends a fifth of its thread switches on that. Go has no
// setting for it, and the kernel lets a thread be late for nobody but itself and
// those that it starts, so the program is begun anew from a thread that may be late.
// Where that cannot be, everything is as before. docs/benchmarks.md has figures.
//
// Timers are late by as much. It is for services that run beside others, each in a
// process of its own, but not where files are synced side by side, storage: there
// it is the monitor that lets other work go on meanwhile.
func calmMonitor(args []string) error {
	if len(args) == 0 || !slices.Contains(calm(), args[0]) {
		return nil
	}
	runtime.LockOSThread() // exec makes this thread the first of the process
	defer runtime.UnlockOSThread()
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil || slack >= monitorSlack {
		return nil //nolint:nilerr // a kernel without it is none to complain of
	}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, monitorSlack, 0, 0, 0); err != nil {
		return nil //nolint:nilerr // as above
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	if err := syscall.Exec(self, os.Args, os.Environ()); err != nil { //nolint:gosec // itself, with what it was given
		return fmt.Errorf("begin anew: %w", err)
	}
	return nil
}

// calm lists the services whose monitor is calmed.
func calm() []string { return []string{"frontend", "imagemaster", "worker", "taskdb"} }
