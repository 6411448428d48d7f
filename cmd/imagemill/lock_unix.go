//go:build !windows

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes the file's lock, or fails at once.
func lockFile(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
