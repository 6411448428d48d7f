//go:build !linux

package volumetest

import "testing"

// Disk is a small file system; only Linux can mount one for a test.
type Disk struct {
	// Dir is where it is mounted.
	Dir string
}

// New skips the test.
func New(t testing.TB, _ int) *Disk {
	t.Helper()
	t.Skip("a small disk can be mounted on Linux only")
	return nil
}

// ReadOnly is never reached.
func (d *Disk) ReadOnly(testing.TB) {}

// Tighten is never reached.
func (d *Disk) Tighten() error { return nil }

// Widen is never reached.
func (d *Disk) Widen(int) error { return nil }

// Fill is never reached.
func (d *Disk) Fill(testing.TB) {}

// Free is never reached.
func (d *Disk) Free(testing.TB) {}
