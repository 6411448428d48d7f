package sandbox

import (
	"fmt"
	"os"
	"runtime"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Enter puts everything in force that the kernel has, for all threads, and
// returns every feature with its state. There is no way back.
func Enter(cfg Config) []State {
	if cfg.None {
		return without(Features()[0], "switched off")
	}
	// The calls that count for one thread only are made on one and the same.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	states := []State{
		memory(cfg.MemoryBytes),
		state(Limits, limits(cfg.FileBytes)),
		state(OOMFirst, os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)),
	}
	if cfg.LimitsOnly {
		return append(states, without(firstOfWalls, "switched off")...)
	}
	states = append(states, state(NoNewPrivs, unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)))
	states = append(states, restrictFiles(cfg.Dir, cfg.Read)...)
	return append(states,
		state(Undumpable, unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)),
		state(Seccomp, loadFilter()))
}

func state(f Feature, err error) State {
	if err != nil {
		return State{Feature: f, Detail: err.Error()}
	}
	return State{Feature: f, Active: true}
}

// restrictFiles leaves to the process the making and writing of files in dir, and
// the reading of what lies in the folders of read.
// Descriptors that are open already go on as before. To let an engine read in its
// folder would let it read what it wrote for somebody else.
func restrictFiles(dir string, read []string) []State {
	abi, err := ll.LandlockGetABIVersion()
	if err != nil {
		why := "not in this kernel, or not allowed here: " + err.Error()
		return []State{{Feature: Landlock, Detail: why}, {Feature: LandlockNet, Detail: why}, {Feature: LandlockIPC, Detail: why}}
	}
	var rules []landlock.Rule
	if dir != "" {
		rules = append(rules, landlock.PathAccess(ll.AccessFSWriteFile|ll.AccessFSMakeReg|ll.AccessFSTruncate, dir))
	}
	if len(read) > 0 {
		rules = append(rules, landlock.PathAccess(ll.AccessFSReadFile|ll.AccessFSReadDir, read...).IgnoreIfMissing())
	}
	err = landlock.V10.BestEffort().Restrict(rules...)
	at := func(f Feature, least int) State {
		switch {
		case err != nil:
			return State{Feature: f, Detail: err.Error()}
		case abi < least:
			return State{Feature: f, Detail: fmt.Sprintf("needs Landlock ABI %d; this kernel has %d", least, abi)}
		}
		return State{Feature: f, Active: true, Detail: fmt.Sprintf("ABI %d", abi)}
	}
	return []State{at(Landlock, 1), at(LandlockNet, 4), at(LandlockIPC, 6)}
}
