//go:build !linux

package disk

import "errors"

// place is not to be had here.
func place(string, string) error { return errors.ErrUnsupported }
