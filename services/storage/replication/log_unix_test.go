//go:build linux || darwin

package replication

import (
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fewFiles lets no more files be opened than one beside those that are open now,
// until the given function is called.
func fewFiles(t *testing.T) (end func()) {
	t.Helper()
	// The collector closes what earlier tests have left open: now, or not meanwhile.
	runtime.GC()
	collect := debug.SetGCPercent(-1)
	for before, open := -1, openFiles(t); open != before; before, open = open, openFiles(t) {
		<-time.After(20 * time.Millisecond)
	}
	var was syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was))
	free, err := syscall.Dup(0)
	require.NoError(t, err)
	require.NoError(t, syscall.Close(free))
	few := was
	few.Cur = uint64(free) + 1
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few))
	return func() {
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was))
		debug.SetGCPercent(collect)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/dev/fd")
	require.NoError(t, err)
	return len(files)
}

// A compaction that fails, even as its file has its name already, leaves the log
// as it was, for the next start too.
func TestACompactionThatFails(t *testing.T) {
	dir := t.TempDir()
	l := openTestLog(t, dir)
	add(t, l, putLine(1, 5))
	end := fewFiles(t)
	err := l.compact(0) // which opens its file, and then cannot open the folder
	end()
	require.ErrorIs(t, err, syscall.EMFILE)
	add(t, l, record{op: opDelete, ref: someRef(1), stamp: 9})
	require.NoError(t, l.sync())
	require.NoError(t, l.close())
	l = openTestLog(t, dir)
	_, buried := l.tomb(someRef(1))
	require.True(t, buried, "a durable deletion")
	require.NoError(t, l.compact(0))
}
