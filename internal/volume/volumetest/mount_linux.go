package volumetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Disk is a small file system in memory.
type Disk struct {
	// Dir is where it is mounted.
	Dir string
}

// New mounts a disk of a number of bytes until the test ends.
func New(t testing.TB, bytes int) *Disk {
	t.Helper()
	d := &Disk{Dir: t.TempDir()}
	err := unix.Mount("imagemill-test", d.Dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes))
	if err != nil {
		if os.Getenv("IMAGEMILL_CI") == "1" && os.Geteuid() == 0 {
			t.Fatalf("mount a small disk: %v", err)
		}
		t.Skipf("a small disk cannot be mounted (%v): run as root", err)
	}
	t.Cleanup(func() {
		// Lazily: a file that a failed test has left open must not keep it.
		if err := unix.Unmount(d.Dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return d
}

// ReadOnly makes it so, for everybody.
func (d *Disk) ReadOnly(t testing.TB) {
	t.Helper()
	require.NoError(t, unix.Mount("", d.Dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
}

func (d *Disk) ballast() string { return filepath.Join(d.Dir, "ballast") }

// Tighten leaves no room, without writing anything. It may be called from any
// goroutine.
func (d *Disk) Tighten() error {
	var err error
	for range 100 { // what is written meanwhile makes the new size too small
		var st unix.Statfs_t
		if err = unix.Statfs(d.Dir, &st); err != nil {
			return err
		}
		size := (int64(st.Blocks) - int64(st.Bfree)) * st.Bsize //nolint:gosec // a small disk
		if err = unix.Mount("", d.Dir, "", unix.MS_REMOUNT, fmt.Sprintf("size=%d", max(size, 4096))); err == nil {
			return nil
		}
	}
	return fmt.Errorf("tighten: %w", err)
}

// Widen gives it a size in bytes, which ends Tighten.
func (d *Disk) Widen(bytes int) error {
	return unix.Mount("", d.Dir, "", unix.MS_REMOUNT, fmt.Sprintf("size=%d", bytes))
}

// Fill leaves no room at all.
func (d *Disk) Fill(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(t, err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("fill: %v", err)
	}
	require.NoError(t, f.Close())
}

// Free gives the room back.
func (d *Disk) Free(t testing.TB) {
	t.Helper()
	require.NoError(t, os.Remove(d.ballast()))
}
