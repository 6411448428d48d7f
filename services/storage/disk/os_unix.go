//go:build !windows

package disk

import (
	"errors"
	"os"
)

// syncDir opens the folder anew each time, so that it sees every error that
// nobody has been told of yet.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
