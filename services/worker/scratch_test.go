package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScratchFoldersAreUsedAgainTidied(t *testing.T) {
	base := t.TempDir()
	s := &scratch{base: base}
	first, err := s.take()
	require.NoError(t, err)
	second, err := s.take()
	require.NoError(t, err)
	require.NotEqual(t, first, second, "each attempt has its own")
	write := func(name string, size int) {
		require.NoError(t, os.WriteFile(filepath.Join(first, name), make([]byte, size), 0o600))
	}
	for i := range keptFiles + 2 {
		write(fmt.Sprintf("file-%02d", i), 10)
	}
	write("a", keptBytes-keptAnyway)
	write("b", keptAnyway+1)
	require.NoError(t, os.Symlink(second, filepath.Join(first, "c-link")))
	require.NoError(t, os.Mkdir(filepath.Join(first, "d-folder"), 0o700))
	require.NoError(t, s.give(first))
	again, err := s.take()
	require.NoError(t, err)
	require.Equal(t, first, again)
	left, err := os.ReadDir(again)
	require.NoError(t, err)
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	want := []string{"a"} // b would have been too much
	for i := range keptFiles - 1 {
		want = append(want, fmt.Sprintf("file-%02d", i))
	}
	require.Equal(t, want, names)

	require.NoError(t, os.Remove(filepath.Join(first, "a")))
	for i := range keptFiles + 2 {
		write(fmt.Sprintf("file-%02d", i), 10)
	}
	require.NoError(t, s.give(first))
	_, err = s.take()
	require.NoError(t, err)
	left, err = os.ReadDir(first)
	require.NoError(t, err)
	require.Len(t, left, keptFiles)

	require.NoError(t, os.RemoveAll(second))
	require.Error(t, s.give(second))
	third, err := s.take()
	require.NoError(t, err)
	require.NotEqual(t, second, third, "what could not be tidied is not used again")

	require.NoError(t, s.close())
	require.NoError(t, s.close())
	left, err = os.ReadDir(base)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestScratchFoldersKeepLittleTogether(t *testing.T) {
	s := &scratch{base: t.TempDir()}
	var dirs []string
	for range 5 {
		dir, err := s.take()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "original"), make([]byte, keptBytes-1000), 0o600))
		dirs = append(dirs, dir)
	}
	held := func() (files int) {
		for _, dir := range dirs {
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			files += len(left)
		}
		return files
	}
	for _, dir := range dirs {
		require.NoError(t, s.give(dir))
	}
	require.Equal(t, keptInAll/keptBytes, held())
	small := filepath.Join(dirs[4], "small")
	require.NoError(t, os.WriteFile(small, make([]byte, keptAnyway), 0o600))
	again, err := s.take()
	require.NoError(t, err)
	require.Equal(t, dirs[4], again)
	require.NoError(t, s.give(again))
	require.FileExists(t, small)
	for range dirs {
		_, err := s.take()
		require.NoError(t, err)
	}
	require.Zero(t, s.kept, "what is in use is not counted")
	require.NoError(t, s.give(dirs[0]))
	require.Equal(t, int64(keptBytes-1000), s.kept)
}

// What a killed worker left goes when the next one starts; what a living one has stays.
func TestTheScratchOfAKilledWorkerIsRemoved(t *testing.T) {
	base := t.TempDir()
	left := filepath.Join(base, scratchPrefix+"1")
	require.NoError(t, os.MkdirAll(filepath.Join(left, "0"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(left, "0", "original"), []byte("picture"), 0o600))
	alive := &scratch{base: base}
	dir, err := alive.take()
	require.NoError(t, err)
	m := newMill(t, render(paint), func(c *Config) { c.Scratch = base })
	m.start(t)
	if runtime.GOOS != "windows" {
		require.Eventually(t, func() bool { _, err := os.Stat(left); return os.IsNotExist(err) }, patience, tick)
	}
	require.DirExists(t, dir)
	require.NoError(t, alive.close())
}
