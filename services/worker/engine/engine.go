// Package engine is the contract between a worker and what turns one original
// into its renditions, and the words in which it fails.
//
// Implementations: engine/imaging (pure Go, in this process) and engine/process
// (a pool of child processes, each of which runs another engine). All pass the
// suite in engine/enginetest.
//
// # Failures
//
// Every error of Render carries an internal/fault kind. [Final] tells the two
// sorts apart:
//
//   - final: Invalid, Unsupported, Unprocessable, TooLarge. The same picture
//     with the same pipeline fails again; the sentence is for the user.
//   - retryable: Unavailable, DeadlineExceeded, StorageFull, Canceled, Internal.
//     Nothing is known about the picture; another attempt may succeed.
//
// A death of the engine's process is retryable and also answers true to
// [Died], so that deaths can be counted apart from errors.
//
// An engine knows no network, tasks or storage: files in, files out.
package engine

import (
	"context"
	"os"
	"time"

	"imagemill/pkg/pipeline"
)

// Engine makes renditions. It is safe for concurrent use.
type Engine interface {
	// Render makes all renditions of job.Pipeline from the file job.Source and
	// writes each into a file of its own in job.Dir. The files are the caller's
	// to remove, also those left behind by a failure.
	//
	// It returns a report with the renditions in the pipeline's order, or an
	// error as described at the package. A done ctx ends the work soon, with
	// kind Canceled or DeadlineExceeded. Render may be repeated.
	Render(ctx context.Context, job Job) (Report, error)
}

// Job is one original and what is to become of it.
type Job struct {
	// Source is the path of the original.
	Source string `json:"source"`
	// File is the original, open for reading, where whoever calls has opened it.
	// Then Source may be out of the engine's reach: engines read by [Job.Original].
	File *os.File `json:"-"`
	// Dir is an existing scratch folder for the results. In a sandbox an engine may
	// make and write regular files there, and nothing else: not read back what it
	// wrote, list, rename, remove, link. What has to be read back stays in memory.
	Dir string `json:"dir"`
	// Assets are the paths of the pictures that watermarks are made of, by the Key
	// of each of pipeline.Pipeline.Assets; engines read them by [Job.Asset]. They
	// are as hostile as originals.
	Assets map[string]string `json:"assets,omitempty"`
	// AssetFiles are those of Assets that are open already.
	AssetFiles map[string]*os.File `json:"-"`
	// Pipeline is valid (pipeline.Pipeline.Validate).
	Pipeline pipeline.Pipeline `json:"pipeline"`
	// Limits bound the job; zero fields stand for the defaults.
	Limits Limits `json:"limits"`
	// Threads is how many results may be encoded side by side, for which each needs
	// its picture in memory; less than 1 leaves that to the engine.
	Threads int `json:"threads,omitempty"`
}

// Limits bound what one job may cost. A zero field stands for its default.
type Limits struct {
	// InputPixels is the largest area of an original, all frames of an animation
	// together; default 50 million.
	InputPixels int64 `json:"inputPixels,omitempty"`
	// InputSide is the longest side of an original in pixels; default 100,000.
	InputSide int `json:"inputSide,omitempty"`
	// OutputPixels is the largest area after any operation; default 50 million.
	OutputPixels int64 `json:"outputPixels,omitempty"`
	// Side is the longest side after any operation in pixels; default 16384. An
	// original that is longer may be made smaller.
	Side int `json:"side,omitempty"`
	// Frames is the most pictures that an animation may hold; default 256.
	Frames int `json:"frames,omitempty"`
	// WallTime is how long the job may take; default 60 s.
	WallTime time.Duration `json:"wallTime,omitempty"`
}

// The defaults of Limits.
const (
	DefaultInputPixels  = 50_000_000
	DefaultInputSide    = 100_000
	DefaultOutputPixels = 50_000_000
	DefaultSide         = pipeline.MaxSide
	DefaultFrames       = 256
	DefaultWallTime     = 60 * time.Second
)

// WithDefaults fills the fields that are zero or less.
func (l Limits) WithDefaults() Limits {
	l.InputPixels = orDefault(l.InputPixels, DefaultInputPixels)
	l.InputSide = orDefault(l.InputSide, DefaultInputSide)
	l.OutputPixels = orDefault(l.OutputPixels, DefaultOutputPixels)
	l.Side = orDefault(l.Side, DefaultSide)
	l.Frames = orDefault(l.Frames, DefaultFrames)
	l.WallTime = orDefault(l.WallTime, DefaultWallTime)
	return l
}

func orDefault[T int | int64 | time.Duration](v, standard T) T {
	if v <= 0 {
		return standard
	}
	return v
}
