package process

import (
	"errors"
	"fmt"
	"runtime"

	"imagemill/internal/tempdir"
)

// Ask starts one child as a pool of this configuration would, hears what it says
// of itself, and ends it. Its error is why the pool's children would not start
// either: no such program, no greeting within StartTime, another protocol or
// another version, with what the child has written to its stderr.
func Ask(cfg Config) (about About, err error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return about, err
	}
	dir, err := tempdir.Make(cfg.Scratch, rootPrefix)
	if err != nil {
		return about, fmt.Errorf("make the engines' folder: %w", err)
	}
	defer func() { err = errors.Join(err, dir.Remove()) }()
	// The child would die with the thread that has started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cfg.Threads = max(1, cfg.Threads)
	c, err := start(cfg, dir.Path, 0)
	if err != nil {
		return about, err
	}
	defer c.bury()
	return c.about, nil
}
