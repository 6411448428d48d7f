package shared

import (
	"fmt"
	"time"

	"imagemill/internal/config"
	"imagemill/pkg/discovery/settings"
)

// The largest values, which only keep slips of the pen out.
const (
	mostBytes  = 1 << 40
	mostPixels = 1 << 40
	mostSide   = 1 << 20
)

// MaxBody bounds an upload.
func MaxBody() settings.Definition[config.Bytes] {
	return size{
		Name: "frontend/max-body", Help: "largest upload", Allowed: "a size from 1 to 1024GiB, such as 64MiB",
		Parse: func(s string) (b config.Bytes, err error) {
			if err := b.UnmarshalText([]byte(s)); err != nil || b < 1 || b > mostBytes {
				return 0, fmt.Errorf("is %.40q; allowed is a size from 1 to 1024GiB, such as 64MiB", s)
			}
			return b, nil
		},
	}
}

// MaxUploads bounds the uploads of one frontend.
func MaxUploads() settings.Definition[int] {
	return count("frontend/max-uploads", "uploads at once in each frontend; one more is refused with 503", 1, 1_000_000)
}

// UploadPixels bounds an original by what its header says.
func UploadPixels() settings.Definition[int64] {
	return amount("frontend/input-pixels", "most pixels of an original, refused from its header", 1, mostPixels)
}

// UploadSide bounds an original by what its header says.
func UploadSide() settings.Definition[int] {
	return count("frontend/side", "longest side of an original, in pixels", 1, mostSide)
}

// Engines is how many images a worker renders at once.
func Engines() settings.Definition[int] {
	return count("worker/engines", "engine processes of each worker, and so images rendered at once", 1, 1024)
}

// InFlight bounds what a worker has in hand.
func InFlight() settings.Definition[int] {
	return count("worker/in-flight", "most tasks in hand of each worker, at least one per engine; 0: 32 per engine", 0, 100_000)
}

// WallTime is how long one image may take. Its range is that of the workers'
// own configuration.
func WallTime() settings.Definition[time.Duration] {
	return between("worker/wall-time", "how long one image may take; then its engine is killed", 100*time.Millisecond, time.Hour)
}

// InputPixels bounds an original by what it is.
func InputPixels() settings.Definition[int64] {
	return amount("worker/input-pixels", "most pixels of an original, all frames together", 1, mostPixels)
}

// OutputPixels bounds a rendition.
func OutputPixels() settings.Definition[int64] {
	return amount("worker/output-pixels", "most pixels of a rendition, at any step of its way", 1, mostPixels)
}

// Side bounds a rendition.
func Side() settings.Definition[int] {
	return count("worker/side", "longest side of an original or a rendition, in pixels", 1, mostSide)
}

// Frames bounds an animation.
func Frames() settings.Definition[int] {
	return count("worker/frames", "most frames of an animation", 1, 100_000)
}
