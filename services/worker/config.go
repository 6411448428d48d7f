package worker

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"imagemill/internal/config"
	"imagemill/internal/serve"
	"imagemill/services/storage"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/process"
)

// Config is what a worker is set by.
type Config struct {
	Serve serve.Config

	Engine     string        `env:"ENGINE" help:"auto: native where it is at hand; imaging: pure Go; native: libvips and libjpeg-turbo"`
	Inputs     []string      `env:"INPUTS" help:"further formats of originals that the native engine reads, of svg, pdf and jxl, where its libvips can; empty: none"`
	Program    string        `env:"ENGINE_PROGRAM" help:"program that engine processes run, of the same build; empty: imagemill-engine beside this program where that is needed and there, else this program"`
	Engines    int           `env:"ENGINES" help:"engine processes, and so images rendered at once; 0: one per core"`
	InFlight   int           `env:"IN_FLIGHT" help:"most tasks in hand, those that are fetched and stored included; 0: 32 per engine"`
	Wait       time.Duration `env:"WAIT" help:"how long one call for work waits, 1s to 1m"`
	Scratch    string        `env:"SCRATCH" help:"folder for pictures in work; empty: the system's temporary folder"`
	ReportTime time.Duration `env:"REPORT_TIME" help:"how long a report is tried before the lease is left to run out, up to 10m"`

	Replicas int `env:"STORAGE_REPLICAS" global:"true" help:"on how many storage nodes a blob is durable before it counts as stored, 1 to 10; 0: as the storage is set"`

	WallTime     time.Duration `env:"WALL_TIME" help:"how long one image may take; then its engine is killed, 100ms to 1h"`
	InputPixels  int64         `env:"INPUT_PIXELS" help:"most pixels of an original, all frames together"`
	OutputPixels int64         `env:"OUTPUT_PIXELS" help:"most pixels of a rendition, at any step of its way"`
	Side         int           `env:"SIDE" help:"longest side of an original or a rendition, in pixels"`
	Frames       int           `env:"FRAMES" help:"most frames of an animation"`
	Memory       config.Bytes  `env:"ENGINE_MEMORY" help:"most memory of an engine, which dies of more, at least 64MiB, and never more than MEMORY; 0: no limit"`
	Budget       config.Bytes  `env:"MEMORY" help:"memory that all images in work may need together, by estimates; 0: 7/10 of the control group's limit or the machine's"`
	Recycle      int           `env:"RECYCLE" help:"images after which an engine is replaced; 0: after 1000"`
	RecycleAt    config.Bytes  `env:"RECYCLE_MEMORY" help:"resident memory from which an engine is replaced after its image; 0: half of ENGINE_MEMORY, and less where not all engines could keep so much within MEMORY"`
	EngineDisk   config.Bytes  `env:"ENGINE_DISK" help:"most bytes that an engine may write for one image; 0: 1GiB"`
	Sandbox      string        `env:"SANDBOX" help:"auto: engines are isolated by all that the kernel has; required: no start without; off: limits only"`
}

// The kinds of engines.
const (
	EngineAuto    = engine.KindAuto
	EngineImaging = engine.KindImaging
	EngineNative  = engine.KindNative
)

// DefaultConfig gives the defaults.
func DefaultConfig() Config {
	return Config{
		Serve: serve.DefaultConfig("127.0.0.1:0"), Engine: EngineAuto, Wait: 30 * time.Second, ReportTime: time.Minute,
		WallTime: time.Minute, InputPixels: 50_000_000, OutputPixels: 50_000_000, Side: 16384, Frames: 256,
		Memory: 1 << 30, Recycle: 10_000, Sandbox: string(process.SandboxAuto),
	}
}

// Validate reports every setting that is out of its range.
func (c Config) Validate() error {
	errs := []error{c.Serve.Validate(), storage.CheckReplicas(c.Replicas)}
	if c.Engine != EngineAuto && c.Engine != EngineImaging && c.Engine != EngineNative {
		errs = append(errs, fmt.Errorf("ENGINE: %q is not auto, imaging or native", c.Engine))
	}
	for _, f := range c.Inputs {
		if f != "svg" && f != "pdf" && f != "jxl" {
			errs = append(errs, fmt.Errorf("INPUTS: %q is not svg, pdf or jxl; the other formats are read without being named", f))
		}
	}
	if c.Engines < 0 || c.Engines > 1024 {
		errs = append(errs, fmt.Errorf("ENGINES: %d is outside 0 to 1024", c.Engines))
	}
	if c.InFlight < 0 || (c.InFlight > 0 && c.InFlight < c.engines()) {
		errs = append(errs, fmt.Errorf("IN_FLIGHT: %d is below the number of engines, %d", c.InFlight, c.engines()))
	}
	if c.Wait < time.Second || c.Wait > time.Minute {
		errs = append(errs, fmt.Errorf("WAIT: %s is outside 1s to 1m", c.Wait))
	}
	if c.ReportTime <= 0 || c.ReportTime > 10*time.Minute {
		errs = append(errs, fmt.Errorf("REPORT_TIME: %s is outside 1ms to 10m", c.ReportTime))
	}
	if c.WallTime < 100*time.Millisecond || c.WallTime > maxWallTime {
		errs = append(errs, fmt.Errorf("WALL_TIME: %s is outside 100ms to 1h", c.WallTime))
	}
	if c.InputPixels < 1 || c.OutputPixels < 1 || c.Side < 1 || c.Frames < 1 {
		errs = append(errs, errors.New("INPUT_PIXELS, OUTPUT_PIXELS, SIDE, FRAMES: must be above 0"))
	}
	if c.Recycle < 0 {
		errs = append(errs, fmt.Errorf("RECYCLE: %d is below 0", c.Recycle))
	}
	if c.Memory < 0 || (c.Memory > 0 && c.Memory < process.LeastMemory) {
		errs = append(errs, fmt.Errorf("ENGINE_MEMORY: %s is below 64MiB, which an engine needs to start; 0 sets no limit", c.Memory))
	}
	if c.RecycleAt < 0 || c.EngineDisk < 0 {
		errs = append(errs, errors.New("RECYCLE_MEMORY, ENGINE_DISK: must not be below 0"))
	}
	switch process.Sandbox(c.Sandbox) {
	case process.SandboxAuto, process.SandboxRequired, process.SandboxOff:
	default:
		errs = append(errs, fmt.Errorf("SANDBOX: %q is none of auto, required, off", c.Sandbox))
	}
	return errors.Join(errs...)
}

// engines is the number of engine processes, with the default filled in.
func (c Config) engines() int {
	if c.Engines == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return c.Engines
}

// maxWallTime is the longest that one image may ever take.
const maxWallTime = time.Hour

// EnginePool gives the settings of the pool of engine processes that run
// command. Its wall time is the longest there can be: each job brings its own,
// which may change while the pool runs.
//
// What engines may take and keep fits into the budget, so that they die of their own
// limit, and not of their control group's: no engine more than all of it, nor all
// that idle, the spare included, together.
func (c Config) EnginePool(command ...string) process.Config {
	memory, keep := int64(c.Memory), int64(c.RecycleAt)
	if memory > 0 {
		memory = max(min(memory, c.budget()), process.LeastMemory)
	}
	if keep == 0 && memory > 0 {
		keep = min(memory/2, c.budget()/int64(c.engines()+1))
	}
	return process.Config{
		Command: command, Size: c.engines(), WallTime: maxWallTime, Recycle: c.Recycle, MemoryBytes: memory,
		RecycleBytes: keep, ScratchBytes: int64(c.EngineDisk), Scratch: c.Scratch, Sandbox: process.Sandbox(c.Sandbox),
	}
}
