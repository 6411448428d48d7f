package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"imagemill/internal/volume"
)

// lockFolder makes the data folder and holds it for this process alone; the
// system lets go of it when the process ends, however it ends.
func lockFolder(dir string) (io.Closer, error) {
	if err := volume.Check("up: IMAGEMILL_UP_DATA (--data)", dir, "lock"); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("IMAGEMILL_UP_DATA (--data): %w", err)
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("IMAGEMILL_UP_DATA (--data): %s is in use by another imagemill: stop that one, or choose another folder", dir), f.Close())
	}
	return f, nil
}
