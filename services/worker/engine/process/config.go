package process

import (
	"fmt"
	"runtime"
	"strconv"
	"time"

	"imagemill/internal/release"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/sandbox"
)

// maxSize is the most children that a pool can have.
const maxSize = 1024

// Config says which children to run, and how.
type Config struct {
	// Command is the program and its arguments, such as {"imagemill", "engine"}.
	Command []string
	// Version is this program's; a child of another build is refused. Empty: any
	// will do.
	Version string
	// Env are further variables of the children ("NAME=value").
	Env []string
	// Size is the most children at work; default one per core.
	Size int
	// WallTime is the longest that one picture may take before its child is
	// killed, whatever the job allows; default 60 s.
	WallTime time.Duration
	// StartTime is how long a child may take to greet; default 10 s.
	StartTime time.Duration
	// RetryDelay is the wait after a child that did not start; default 500 ms.
	RetryDelay time.Duration
	// Rest is how long nothing has to be rendered until all children but one are
	// ended, which happens at most as long again after it; default 30 s.
	Rest time.Duration
	// Recycle is the number of pictures after which a child is replaced, to
	// bound what leaks and fragments; default 1000.
	Recycle int
	// RecycleBytes is the resident memory from which a child is replaced after its
	// picture; default half of MemoryBytes. Linux only.
	RecycleBytes int64
	// MemoryBytes is the most memory that a child may take; it dies of more. Go's
	// collector aims to stay a quarter below. 0 sets no limit.
	MemoryBytes int64
	// ScratchBytes is the most that a child may write for one picture; default 1 GiB.
	ScratchBytes int64
	// Scratch is the folder in which children get their own; it should lie on the
	// file system of the jobs' folders. Default is the system's temporary folder.
	Scratch string
	// Sandbox says what of the kernel's isolation the children must have; default
	// SandboxAuto.
	Sandbox Sandbox
	// Threads is a child's GOMAXPROCS; default cores divided by the pool's size at
	// the time, at least 1.
	Threads int
}

// Sandbox is how much isolation by the kernel is asked for.
type Sandbox string

// The choices.
const (
	SandboxAuto     Sandbox = "auto"     // all that the kernel has; what it lacks is reported
	SandboxRequired Sandbox = "required" // Run fails where something essential is missing
	SandboxOff      Sandbox = "off"      // limits only
)

// WithDefaults fills the fields that are zero.
func (c Config) WithDefaults() Config {
	cores := runtime.NumCPU()
	if c.Size == 0 {
		c.Size = cores
	}
	if c.WallTime == 0 {
		c.WallTime = engine.DefaultWallTime
	}
	if c.StartTime == 0 {
		c.StartTime = 10 * time.Second
	}
	if c.RetryDelay == 0 {
		c.RetryDelay = 500 * time.Millisecond
	}
	if c.Rest == 0 {
		c.Rest = 30 * time.Second
	}
	if c.Recycle == 0 {
		c.Recycle = 1000
	}
	if c.RecycleBytes == 0 {
		c.RecycleBytes = c.MemoryBytes / 2
	}
	if c.ScratchBytes == 0 {
		c.ScratchBytes = 1 << 30
	}
	if c.Sandbox == "" {
		c.Sandbox = SandboxAuto
	}
	return c
}

// Validate names the first setting that is wrong.
func (c Config) Validate() error {
	switch {
	case len(c.Command) == 0 || c.Command[0] == "":
		return fmt.Errorf("engine command: is empty; give the program and its arguments")
	case c.Size < 1 || c.Size > maxSize:
		return fmt.Errorf("engine size: is %d; allowed is 1 to 1024 processes", c.Size)
	case c.WallTime < 0:
		return fmt.Errorf("engine wall time: is %s; must be positive", c.WallTime)
	case c.StartTime < 0:
		return fmt.Errorf("engine start time: is %s; must be positive", c.StartTime)
	case c.RetryDelay < 0:
		return fmt.Errorf("engine retry delay: is %s; must be positive", c.RetryDelay)
	case c.Rest < 0:
		return fmt.Errorf("engine rest: is %s; must be positive", c.Rest)
	case c.Recycle < 0:
		return fmt.Errorf("engine recycle: is %d; must be positive", c.Recycle)
	case c.MemoryBytes < 0:
		return fmt.Errorf("engine memory: is %d bytes; must not be negative", c.MemoryBytes)
	case c.MemoryBytes > 0 && c.MemoryBytes < LeastMemory:
		return fmt.Errorf("engine memory: is %d bytes; an engine needs at least %d MiB", c.MemoryBytes, int64(LeastMemory)>>20)
	case c.RecycleBytes < 0:
		return fmt.Errorf("engine recycle memory: is %d bytes; must not be negative", c.RecycleBytes)
	case c.ScratchBytes < 0:
		return fmt.Errorf("engine scratch: is %d bytes; must not be negative", c.ScratchBytes)
	case c.Sandbox != SandboxAuto && c.Sandbox != SandboxRequired && c.Sandbox != SandboxOff:
		return fmt.Errorf("engine sandbox: is %q; allowed are auto, required and off", c.Sandbox)
	case c.Threads < 0:
		return fmt.Errorf("engine threads: is %d; must be positive", c.Threads)
	}
	return nil
}

// LeastMemory is the smallest limit under which a child can start.
const LeastMemory = 64 << 20

// fits refuses a child whose program is of another build than this one.
func (c Config) fits(theirs string) error {
	if c.Version == "" || release.Same(c.Version, theirs) {
		return nil
	}
	if theirs == "" {
		theirs = "unknown"
	}
	return fmt.Errorf("%s is of version %s, and this program of %s: both must come from one build", c.Command[0], theirs, c.Version)
}

// sandbox is what a child with a folder is left with.
func (c Config) sandbox(dir string) sandbox.Config {
	return sandbox.Config{
		Dir: dir, MemoryBytes: c.MemoryBytes, FileBytes: c.ScratchBytes, LimitsOnly: c.Sandbox == SandboxOff,
	}
}

// outOfMemory is the reason of a child's death by its own greed.
func (c Config) outOfMemory() string {
	if c.MemoryBytes == 0 {
		return "the engine ran out of memory"
	}
	return "the engine ran out of memory (limit " + mebibytes(c.MemoryBytes) + ")"
}

// environment is all that a child sees: what programs need to start at all,
// the bounds of its runtime, and Env.
func (c Config) environment(lookup func(string) (string, bool)) []string {
	env := []string{"GOMAXPROCS=" + strconv.Itoa(c.Threads)}
	if c.MemoryBytes > 0 {
		env = append(env, "GOMEMLIMIT="+strconv.FormatInt(c.MemoryBytes/4*3, 10))
	}
	for _, name := range []string{"PATH", "SystemRoot", "TMPDIR", "TEMP", "TMP", "GOCOVERDIR", "GORACE"} {
		if v, ok := lookup(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(env, c.Env...)
}
