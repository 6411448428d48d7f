//go:build !unix

package tempdir

import "os"

func hold(string) (*os.File, error) { return nil, nil } //nolint:nilnil // there are no locks of folders

func claim(string) (lock *os.File, free bool) { return nil, false }
