package sandbox

import "golang.org/x/sys/unix"

// openFiles is how many descriptors a process may have; an engine has a dozen.
const openFiles = 256

// memory bounds the private memory that is mapped and may be written: heaps,
// stacks, the buffers of C. RLIMIT_AS would count what Go and the loader reserve
// without ever using it.
func memory(bytes int64) State {
	switch {
	case bytes <= 0:
		return State{Feature: Memory, Detail: "no limit is set"}
	case raceDetector:
		return State{Feature: Memory, Detail: "the race detector's own memory would be counted"}
	}
	return state(Memory, setLimit(unix.RLIMIT_DATA, bytes))
}

// limits bounds what a process can do to the disk and to the kernel's tables.
// RLIMIT_NPROC is not among them: it counts all threads of the user, the
// worker's too; seccomp allows no process at all.
func limits(fileBytes int64) error {
	if fileBytes > 0 {
		if err := setLimit(unix.RLIMIT_FSIZE, fileBytes); err != nil {
			return err
		}
	}
	if err := setLimit(unix.RLIMIT_NOFILE, openFiles); err != nil {
		return err
	}
	return setLimit(unix.RLIMIT_CORE, 0)
}

// setLimit lowers the soft and the hard limit; neither can be raised again.
func setLimit(resource int, to int64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(resource, &now); err != nil {
		return err
	}
	most := min(now.Max, uint64(max(to, 0)))
	return unix.Setrlimit(resource, &unix.Rlimit{Cur: most, Max: most})
}
