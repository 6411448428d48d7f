//go:build !linux

package disk

import "imagemill/internal/volume"

// near gives the file system of a data folder, and how much of it is free.
func near(string) (fileSystem, func(string) (int64, error), error) {
	return osFS{}, volume.FreeBytes, nil
}
