package volume_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"imagemill/internal/volume"
)

// asNobody runs fn on a thread that reaches files as an ordinary user.
func asNobody(t *testing.T, fn func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		fn()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never let go: the thread ends with the goroutine
		_, _, _ = unix.RawSyscall(unix.SYS_SETFSUID, 65534, 0, 0)
		fn()
	}()
	<-done
}

// reachable is a folder that an ordinary user gets to, unlike the test's own.
func reachable(t *testing.T, mode os.FileMode) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "imagemill-owner-") //nolint:usetesting // whose parent is for the owner only
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, mode))
	return dir
}

func TestAForeignOwner(t *testing.T) {
	dir := reachable(t, 0o555)
	var err error
	asNobody(t, func() { err = volume.Check(setting, dir) })
	said(t, err, dir, "permission denied for user", "chown")
}

func TestAForeignFileInAnOwnFolder(t *testing.T) {
	dir := reachable(t, 0o777)
	file := filepath.Join(dir, "tasks.db")
	require.NoError(t, os.WriteFile(file, nil, 0o400))
	var err error
	asNobody(t, func() { err = volume.Check(setting, dir, "tasks.db") })
	said(t, err, file, "permission denied")
}
