package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The test binary runs itself with these: what to try, and in which folder.
const (
	tryVariable = "IMAGEMILL_SANDBOX_TEST_TRY"
	dirVariable = "IMAGEMILL_SANDBOX_TEST_DIR"
)

func TestMain(m *testing.M) {
	what := os.Getenv(tryVariable)
	if what == "" {
		os.Exit(m.Run())
	}
	dir := os.Getenv(dirVariable)
	passwd, err := os.Open("/etc/passwd")
	if err != nil {
		os.Exit(9)
	}
	// From a thread that was there before: the walls stand around all of them.
	begin, done := make(chan string), make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- try(<-begin, dir)
	}()
	states := enter(&what, filepath.Join(dir, "own"))
	report, _ := json.Marshal(states)
	fmt.Println(string(report))
	_, _ = passwd.Read(make([]byte, 1)) // what is open stays open
	begin <- what
	if err := <-done; err != nil {
		fmt.Println(err)
		os.Exit(7)
	}
	os.Exit(0)
}

// enter puts all walls in force, or Landlock alone.
func enter(what *string, own string) []State {
	if alone, ok := strings.CutPrefix(*what, "landlock: "); ok {
		*what = alone
		return restrictFiles(own, nil)
	}
	fonts := filepath.Join(filepath.Dir(own), "fonts")
	return Enter(Config{Dir: own, Read: []string{fonts, filepath.Join(fonts, "missing")}, MemoryBytes: 512 << 20, FileBytes: 1 << 20, LimitsOnly: *what == "limits only"})
}

// try does one thing that an intruder may want, or an engine needs.
func try(what, dir string) error {
	own := filepath.Join(dir, "own")
	switch what {
	case "work":
		return work(own)
	case "read":
		return second(os.ReadFile("/etc/passwd"))
	case "read own":
		if err := os.WriteFile(filepath.Join(own, "a"), []byte("1"), 0o600); err != nil {
			os.Exit(8)
		}
		return second(os.ReadFile(filepath.Join(own, "a")))
	case "fonts": // what is named may be read and listed, and nothing written there
		if _, err := os.ReadFile(filepath.Join(dir, "fonts", "a")); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "fonts", "a"), nil, 0o600); err == nil {
			return errors.New("it can be written")
		}
		return nil
	case "list":
		return second(os.ReadDir(own))
	case "write outside":
		return os.WriteFile(filepath.Join(dir, "b"), nil, 0o600)
	case "write over":
		return os.WriteFile(filepath.Join(dir, "precious"), nil, 0o600)
	case "remove":
		return os.Remove(filepath.Join(dir, "precious"))
	case "symlink":
		return os.Symlink("/etc/passwd", filepath.Join(own, "l"))
	case "link":
		return os.Link("/etc/passwd", filepath.Join(own, "l"))
	case "rename":
		return os.Rename(own, own+"2")
	case "mkdir":
		return os.Mkdir(filepath.Join(own, "d"), 0o700)
	case "fifo":
		return syscall.Mkfifo(filepath.Join(own, "f"), 0o600)
	case "large file":
		return os.WriteFile(filepath.Join(own, "large"), make([]byte, 2<<20), 0o600)
	case "limits only":
		return second(os.ReadFile("/etc/passwd"))
	case "lift limit":
		return unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1, Max: 1})
	case "die without parent":
		return unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0)
	case "exec":
		return syscall.Exec("/bin/true", []string{"true"}, nil)
	case "spawn":
		return second(syscall.ForkExec("/bin/true", []string{"true"}, nil))
	case "tcp":
		return second(net.Dial("tcp", "127.0.0.1:9"))
	case "udp":
		return second(net.ListenPacket("udp", "127.0.0.1:0"))
	case "unix":
		return second(net.Dial("unix", "/run/none"))
	case "kill parent":
		return syscall.Kill(os.Getppid(), 0)
	case "ptrace":
		return syscall.PtraceAttach(os.Getppid())
	case "peek":
		one := []unix.Iovec{{}}
		return second(unix.ProcessVMReadv(os.Getppid(), one, []unix.RemoteIovec{{}}, 0))
	case "mount":
		return syscall.Mount("none", own, "tmpfs", 0, "")
	case "userns":
		return syscall.Unshare(syscall.CLONE_NEWUSER)
	case "io_uring":
		_, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
		return errno
	}
	return errors.New("unknown: " + what)
}

func second(_ any, err error) error { return err }

// work is what an engine does: memory, threads, files, the clock.
func work(own string) error {
	for range 2 { // the second time over the first
		if err := os.WriteFile(filepath.Join(own, "result"), make([]byte, 100), 0o600); err != nil {
			return err
		}
	}
	threads := make(chan int)
	for range 20 {
		go func() {
			runtime.LockOSThread()
			b := make([]byte, 1<<20)
			b[len(b)-1] = 1
			threads <- len(b)
		}()
	}
	for range 20 {
		<-threads
	}
	runtime.GC()
	return nil
}

// run tries something in a process of its own.
func run(t *testing.T, what string) (states []State, said string, err error) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "own"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "precious"), []byte("1"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "fonts"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "fonts", "a"), []byte("1"), 0o600))
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = []string{tryVariable + "=" + what, dirVariable + "=" + dir, "GOMAXPROCS=2"}
	out, err := cmd.CombinedOutput()
	first, said, _ := strings.Cut(string(out), "\n")
	require.NoError(t, json.Unmarshal([]byte(first), &states), "%s", out)
	return states, said, err
}

// requireAll skips what this kernel cannot do; CI's can.
func requireAll(t *testing.T, states []State) {
	t.Helper()
	lacks := Lacks(states)
	if raceDetector {
		lacks = strings.TrimPrefix(strings.TrimPrefix(lacks, State{Feature: Memory, Detail: memory(1).Detail}.String()), ", ")
	}
	if lacks != "" && os.Getenv("IMAGEMILL_CI") != "1" {
		t.Skip("this kernel lacks " + lacks)
	}
	require.Empty(t, lacks)
}

func TestWorkGoesOnInside(t *testing.T) {
	states, said, err := run(t, "work")
	require.NoError(t, err, said)
	require.Len(t, states, len(Features()))
	for i, f := range Features() {
		require.Equal(t, f, states[i].Feature)
	}
	requireAll(t, states)
	t.Log(states)
}

func TestFoldersThatMayBeRead(t *testing.T) {
	states, said, err := run(t, "fonts")
	requireAll(t, states)
	require.NoError(t, err, said)
}

func TestWhatIsRefused(t *testing.T) {
	for what, says := range map[string]string{
		"read": "permission denied", "read own": "permission denied", "list": "permission denied",
		"write outside": "permission denied", "write over": "permission denied", "remove": "not permitted",
		"symlink": "not permitted", "link": "not permitted", "rename": "not permitted", "mkdir": "not permitted",
		"fifo": "not permitted", "large file": "file too large", "lift limit": "not permitted", "die without parent": "not permitted",
	} {
		t.Run(what, func(t *testing.T) {
			states, said, err := run(t, what)
			requireAll(t, states)
			require.Equal(t, 7, exitCode(err), "%v: %s", err, said)
			assert.Contains(t, said, says)
		})
	}
}

func TestWhatEndsTheProcess(t *testing.T) {
	for _, what := range []string{
		"exec", "spawn", "tcp", "udp", "unix", "kill parent", "ptrace", "peek", "mount", "userns", "io_uring",
	} {
		t.Run(what, func(t *testing.T) {
			states, said, err := run(t, what)
			requireAll(t, states)
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			assert.Equal(t, syscall.SIGSYS, exit.Sys().(syscall.WaitStatus).Signal(), "%v: %s", err, said)
		})
	}
}

func TestLimitsOnly(t *testing.T) {
	states, said, err := run(t, "limits only")
	require.NoError(t, err, said)
	assert.True(t, states[1].Active)
	assert.Contains(t, Lacks(states), "seccomp (switched off)")
}

func exitCode(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return -2
}

func TestLandlockHoldsAlone(t *testing.T) {
	for _, what := range []string{
		"read", "read own", "list", "write outside", "write over", "remove", "symlink", "link", "rename", "mkdir", "fifo",
		"exec", "kill parent", "tcp",
	} {
		t.Run(what, func(t *testing.T) {
			states, said, err := run(t, "landlock: "+what)
			for _, s := range states {
				if !s.Active {
					t.Skip(s.String())
				}
			}
			require.Equal(t, 7, exitCode(err), "%v: %s", err, said)
			assert.Regexp(t, "permission denied|not permitted|cross-device", said)
		})
	}
	states, said, err := run(t, "landlock: work")
	require.NoError(t, err, "%v: %s", states, said)
}

// The filter is a program for a small machine.
func TestTheFiltersJumpsStayInside(t *testing.T) {
	p := filter(1234)
	require.Less(t, len(p), unix.BPF_MAXINSNS)
	for i, ins := range p {
		if ins.Code&0x07 == unix.BPF_JMP {
			require.Less(t, i+1+int(max(ins.Jt, ins.Jf)), len(p), strconv.Itoa(i))
		}
	}
	require.Equal(t, ret(deny), p[len(p)-1])
}
