package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"imagemill/internal/volume"
)

// errInUse is what a folder gives that another process holds.
var errInUse = errors.New("is in use by another imagemill: stop that one, or choose another folder")

// lockFolder makes the folder that a service's setting names and holds it for
// this process alone; the system lets go of it when the process ends, however it
// ends.
func lockFolder(service, setting, dir string) (io.Closer, error) {
	if err := volume.Check(service+": "+setting, dir, "lock"); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %s %w", setting, dir, errInUse), f.Close())
	}
	return f, nil
}
