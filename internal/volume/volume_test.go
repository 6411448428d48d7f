package volume_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/volume"
	"imagemill/internal/volume/volumetest"
)

func ExampleExplain() {
	err := volume.Explain("IMAGEMILL_STORAGE_DATA", "/data", &fs.PathError{Op: "open", Path: "/data/x", Err: syscall.EROFS})
	fmt.Println(err)
	// Output: IMAGEMILL_STORAGE_DATA: cannot write /data: the file system is read-only: mount it writable, or put a writable volume there: open /data/x: read-only file system
}

const setting = "IMAGEMILL_TESTING_DATA"

// said requires an error that names setting and folder, and says the parts.
func said(t *testing.T, err error, dir string, parts ...string) {
	t.Helper()
	require.Error(t, err)
	for _, p := range append(parts, setting, dir) {
		require.ErrorContains(t, err, p)
	}
}

func TestAWritableFolderIsMadeAndLeftAsItWas(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	require.NoError(t, volume.Check(setting, dir, "missing"))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "inside"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("kept"), 0o600))
	require.NoError(t, volume.Check(setting, dir, "inside", "file"))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2)
	kept, err := os.ReadFile(filepath.Join(dir, "file"))
	require.NoError(t, err)
	require.Equal(t, "kept", string(kept))
}

func TestAFileInTheWay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	said(t, volume.Check(setting, file), file, "not a folder", "name another path")
	below := filepath.Join(file, "below")
	said(t, volume.Check(setting, below), below, "not a folder")
}

func TestAReadOnlyFileSystem(t *testing.T) {
	disk := volumetest.New(t, 1<<20)
	disk.ReadOnly(t)
	said(t, volume.Check(setting, disk.Dir), disk.Dir, "read-only", "mount it writable")
	below := filepath.Join(disk.Dir, "new")
	said(t, volume.Check(setting, below), below, "read-only")
}

func TestAFullDisk(t *testing.T) {
	disk := volumetest.New(t, 1<<20)
	disk.Fill(t)
	said(t, volume.Check(setting, disk.Dir), disk.Dir, "no space left", "enlarge the volume")
	disk.Free(t)
	require.NoError(t, volume.Check(setting, disk.Dir))
}

// record is a log and a clock.
type record struct {
	buf bytes.Buffer
	now time.Time
}

func (r *record) room(dir string, minFree int64) *volume.Room {
	r.now = time.Unix(1_000_000, 0)
	return volume.NewRoom(setting, dir, minFree, slog.New(slog.NewTextHandler(&r.buf, nil)), func() time.Time { return r.now })
}

func TestAFullDiskIsLoggedOnceAMinute(t *testing.T) {
	var r record
	dir := t.TempDir()
	room := r.room(dir, 0)
	require.Empty(t, room.Missing())
	for range 100 {
		room.Refused(errors.New("no room"))
		r.now = r.now.Add(time.Second)
	}
	require.Equal(t, 2, strings.Count(r.buf.String(), "the disk is full"))
	for _, part := range []string{setting, dir, "enlarge the volume", "nothing that was accepted is lost"} {
		require.Contains(t, r.buf.String(), part)
	}
	room.Written()
	room.Written()
	require.Equal(t, 1, strings.Count(r.buf.String(), "room again"))
	room.Refused(errors.New("no room"))
	room.Written()
	require.Equal(t, 2, strings.Count(r.buf.String(), "the disk is full"), "a disk on the edge does not fill the log")
	require.Equal(t, 1, strings.Count(r.buf.String(), "room again"))
}

func TestReadinessFollowsTheDisk(t *testing.T) {
	disk := volumetest.New(t, 4<<20)
	var r record
	room := r.room(disk.Dir, 0)
	disk.Fill(t)
	room.Refused(syscall.ENOSPC)
	require.Len(t, room.Missing(), 1)
	require.Contains(t, room.Missing()[0], setting)
	require.Contains(t, room.Missing()[0], disk.Dir)
	disk.Free(t)
	require.Empty(t, room.Missing(), "before anything has been written")
	require.Len(t, r.room(disk.Dir, 1<<30).Missing(), 1, "less than is to stay free")
}
