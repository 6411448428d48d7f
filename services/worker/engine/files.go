package engine

import (
	"fmt"
	"os"

	"imagemill/internal/fault"
)

// Original opens the original: it gives Job.File where there is one, else it
// opens Job.Source. Read it by ReadAt, or by its descriptor; its offset is 0 when
// Render begins. done closes what was opened, and is called once. An error has
// kind Unavailable.
//
// A library in C reads from the descriptor (for libvips: a VipsSource of
// int(file.Fd()), which copies the descriptor), or from memory. The path
// /proc/self/fd/N is no way in: in a sandbox it cannot be opened.
func (j Job) Original() (file *os.File, done func(), err error) {
	return openOr(j.File, j.Source, "the original cannot be read now")
}

// Asset is Original for one of Job.Assets.
func (j Job) Asset(key string) (file *os.File, done func(), err error) {
	return openOr(j.AssetFiles[key], j.Assets[key], "the picture "+key+" cannot be read now")
}

func openOr(open *os.File, path, public string) (*os.File, func(), error) {
	if open != nil {
		return open, func() {}, nil
	}
	file, err := OpenPlain(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, nil, fault.Wrap(fault.Unavailable, public, fmt.Errorf("open: %w", err))
	}
	return file, func() { _ = file.Close() }, nil
}
