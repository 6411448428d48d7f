package engine

import "os"

// OpenPlain opens a file as os.OpenFile does.
func OpenPlain(path string, flag int, perm uint32) (*os.File, error) {
	return os.OpenFile(path, flag, os.FileMode(perm))
}
